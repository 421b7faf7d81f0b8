"""What a rerun depends on: an edited entry, split index, list of labels or table of classes is noticed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from nml import plugins
from nml.tasks.project_files import said_by_project

DECISIVE = [
    ("eurosat", "nml/tasks/splits/eurosat.csv", "1", "2"),
    ("imagenet", "nml/tasks/classes/imagenet-a.txt", "n01498041", "n01440764"),
    ("imagenet", "nml/corpora/classes/imagenet1k.csv", "n01440764", "n99999999"),
    ("eurosat", "nml/tasks/classes/eurosat.txt", "Forest", "Wood"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that entries name."""
    plugins.tasks()
    for folder in ("tasks/splits", "tasks/classes", "corpora/classes"):
        shutil.copytree(plugins.PACKAGE / folder, tmp_path / "nml" / folder)
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path / "nml")
    return tmp_path


@pytest.mark.parametrize(("task", "file", "old", "new"), DECISIVE)
def test_a_change_of_what_splits_or_labels_is_noticed(project: Path, task: str, file: str, old: str, new: str) -> None:
    before = said_by_project(plugins.tasks()[task])
    assert said_by_project(plugins.tasks()[task]) == before
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))
    assert said_by_project(plugins.tasks()[task]) != before


def test_a_file_of_another_task_makes_no_difference(project: Path) -> None:
    before = said_by_project(plugins.tasks()["eurosat"])
    (project / "nml/tasks/splits/resisc45.csv").write_text("")
    assert said_by_project(plugins.tasks()["eurosat"]) == before


@pytest.mark.parametrize(
    ("changes", "matters"), [({"access": "Ask the keeper."}, False), ({"reader": "x"}, True), ({"variant": "x"}, True)]
)
def test_how_a_data_set_is_had_makes_no_difference(changes: dict[str, Any], matters: bool) -> None:
    entry = plugins.tasks()["svhn"]
    layouts = {key: layout.model_copy(update=changes) for key, layout in entry.layouts.items()}
    other = entry.model_copy(update={"layouts": layouts, "licence": "another", "downloads": [], "size": "another"})
    assert (said_by_project(other) != said_by_project(entry)) == matters
