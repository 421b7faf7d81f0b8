"""Real data sets on disk, tiny, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nml import plugins
from nml.task_entries import Layout, TaskEntry
from nml.tasks.task import Task, open_task
from tests.tasks import fixtures


def shrunk(layout: Layout, sizes: fixtures.Sizes, options: dict[str, str]) -> Layout:
    """Return a layout with the sizes of a fixture."""

    def part(name: str) -> object:
        return layout.parts[name].model_copy(update={"samples": sizes[name]})

    tests = {name: part(name) for name in layout.tests}
    official = part("validation") if layout.validation else None
    changed = {"train": part("train"), "validation": official, "tests": tests, "options": layout.options | options}
    return layout.model_copy(update=changed)


def lay_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str | None = None) -> Path:
    """Write the fixture of a task, and give its entry the fixture's sizes; return the folder of its place."""
    monkeypatch.chdir(tmp_path)
    entry: TaskEntry = plugins.tasks()[name]
    layout = layout or next(iter(entry.layouts))
    place, options = plugins.place_of(entry.place), {}
    if layout == "wds":
        folder = entry.layouts["wds"].needs[0].partition("/")[0]
        sizes = fixtures.wds(place, folder, entry.classes)
    else:
        sizes = fixtures.WRITERS[name](Path("data") if name == "imagenet" else place)
    if "index" in entry.layouts[layout].options:
        options["index"] = str((place / "index.csv").absolute())
    layouts = entry.layouts | {layout: shrunk(entry.layouts[layout], sizes, options)}
    monkeypatch.setitem(plugins.tasks(), name, entry.model_copy(update={"layouts": layouts}))
    return place


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Return the function that writes a real data set, tiny, and opens it."""

    def opened(name: str, layout: str | None = None) -> Task:
        lay_out(name, tmp_path, monkeypatch, layout)
        return open_task(name)

    return opened
