"""What docs/add-a-data-set.md says works: its entry and its reader, taken from the page itself."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from nml import plugins
from nml.tasks.task import open_task, read_split
from tests.tasks.fixtures import picture, put

PAGE = (Path(__file__).parents[2] / "docs/add-a-data-set.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's first block of a language."""
    return re.search(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL).group(1)


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "shapes.txt", block("text"))
    return tmp_path / "shapes.txt"


def add(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(Path("catalogue.yaml"), entry)
    entries = plugins.read_tasks(Path("catalogue.yaml"))
    monkeypatch.setattr(plugins, "tasks", lambda: entries)


def test_the_entry_of_the_page_is_all_that_a_known_format_needs(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(block("yaml").replace("nml/tasks/classes/shapes.txt", str(classes)), monkeypatch)
    for part, count in (("train", 20), ("test", 4)):
        lines = [f"{part}{number} {['circle', 'square'][number % 2]}" for number in range(count)]
        put(Path(f"data/tasks/shapes/{part}.txt"), "\n".join(lines))
        for number, line in enumerate(lines):
            put(Path(f"data/tasks/shapes/images/{line.split()[0]}.jpg"), picture(number))
    task = open_task("shapes")
    assert {split: len(list(read_split(task, split))) for split in task.splits} == {"train": 18, "val": 2, "test": 4}


def test_the_reader_of_the_page_is_all_that_a_new_format_needs(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(Path("arrays.py"), block("python"))
    # As if it lay in nml/tasks/readers.
    spec = importlib.util.spec_from_file_location("nml.tasks.readers.arrays", "arrays.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "nml.tasks.readers.arrays", module)
    readers = plugins.task_readers() | {"arrays": plugins.read_literals(Path("arrays.py"))}
    monkeypatch.setattr(plugins.catalogues, "task_readers", lambda: readers)
    entry = yaml.safe_load(block("yaml"))
    tests = {"test": {"samples": 4, "options": {"file": "test.npz"}}}
    layout = {"reader": "arrays", "variant": "papers", "needs": ["train.npz", "test.npz"], "tests": tests}
    layout["train"] = {"samples": 20, "options": {"file": "train.npz"}}
    entry["shapes"] |= {"class_names": str(classes), "layouts": {"arrays": layout}}
    add(yaml.safe_dump(entry), monkeypatch)
    Path("data/tasks/shapes").mkdir(parents=True)
    for part, count in (("train", 20), ("test", 4)):
        images = np.random.default_rng(count).integers(0, 256, (count, 5, 6, 3), dtype=np.uint8)
        np.savez(f"data/tasks/shapes/{part}.npz", images=images, labels=np.arange(count) % 2)
    samples = list(read_split(open_task("shapes"), "test"))
    assert [label for _, _, label in samples] == [0, 1, 0, 1]
    assert np.array_equal(np.stack([image for _, image, _ in samples]), images)
