"""The catalogues of corpora and tasks, and where on this machine their data lie."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nml.errors import UserError, nearest
from nml.plugins.declarations import lacks, read_declarations
from nml.plugins.files import PACKAGE, READERS

if TYPE_CHECKING:
    from nml.task_entries import EmbeddedTask, TaskEntry

PATHS_FILE = Path("data/paths.yaml")
"""Optional, one a machine: where corpora and data sets of tasks lie that are not at the catalogue's path."""
TASKS_FOLDER = "data/tasks"
"""Where the real data sets of tasks lie, each in a folder named as its place."""


@cache
def corpora() -> dict[str, dict[str, Any]]:
    """Return the corpus catalogue, `nml/corpora/catalogue.yaml`, each corpus where `PATHS_FILE` says that it lies.

    Raises
    ------
    UserError
        If `PATHS_FILE` does not map names of corpora to paths.
    """
    entries = _corpus_entries()
    for name, path in _paths_elsewhere().items():
        if "path" in entries.get(name, {}):
            entries[name]["path"] = path
    return entries


def _corpus_entries() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((PACKAGE / "corpora" / "catalogue.yaml").read_text(encoding="utf-8"))


@cache
def _corpus_paths() -> dict[str, str]:
    """Return the folders of the corpora as the catalogue has them."""
    return {name: entry["path"] for name, entry in _corpus_entries().items() if "path" in entry}


def _paths_elsewhere() -> dict[str, str]:
    try:
        paths = yaml.safe_load(PATHS_FILE.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{PATHS_FILE} cannot be read as YAML: {error}") from None
    if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
        raise UserError(f"{PATHS_FILE} must have a line `<name>: <folder>` for each data set that lies elsewhere.")
    known = [*_corpus_paths(), *_places()]
    for name in paths:
        if name not in known:
            meant = nearest(str(name), known)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            raise UserError(
                f"{PATHS_FILE}: there is no corpus or data set '{name}' with a path{hint}; allowed: {', '.join(known)}."
            )
    return {name: os.path.expanduser(path) for name, path in paths.items()}


@cache
def task_readers() -> dict[str, dict[str, Any]]:
    """Return the readers of tasks by name; `OPTIONS` maps what each is told to the default, None where it must be."""
    return read_declarations(PACKAGE / READERS, lambda name, literals: lacks(literals, "OPTIONS", dict))


@cache
def tasks() -> "dict[str, EmbeddedTask | TaskEntry]":
    """Return the task catalogue, `nml/tasks/catalogue.yaml`.

    Raises
    ------
    UserError
        If an entry is wrong; it names the entry and the key.
    """
    return read_tasks(PACKAGE / "tasks" / "catalogue.yaml")


def read_tasks(file: Path) -> "dict[str, EmbeddedTask | TaskEntry]":
    """Return a task catalogue in its typed form; raise what `tasks` does."""
    # Only here: pydantic takes longer to import than all else that this module needs.
    from nml.task_entries import check_entries

    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as YAML: {error}") from None
    readers = {name: literals["OPTIONS"] for name, literals in task_readers().items()}
    return check_entries(entries, readers, str(file))


def place_of(name: str) -> Path:
    """Return the folder of a place: where `PATHS_FILE` says, else a corpus' own, else below `TASKS_FOLDER`."""
    if name in (elsewhere := _paths_elsewhere()):
        return Path(elsewhere[name])
    return Path(_corpus_paths().get(name, f"{TASKS_FOLDER}/{name}"))


def _places() -> list[str]:
    entries = tasks().values()
    return sorted({place for entry in entries if hasattr(entry, "places") for place in entry.places})
