"""Is a task on this disk, in which layout, and what to do if it is not. Light enough for the command line."""

from pathlib import Path

from nml import plugins
from nml.errors import UserError
from nml.task_entries import EmbeddedTask, Layout, TaskEntry


def missing_files(name: str) -> list[Path]:
    """Return the first files and folders that a task lacks: none if it is here in any of its layouts.

    Otherwise they are those of its first layout. Raises `UserError` for an unknown task.
    """
    entry = _entry(name)
    if isinstance(entry, EmbeddedTask):
        return [path for path in [Path(entry.path, "classnames.txt")] if not path.exists()]
    lacking = [_lacking(entry, layout) for layout in entry.layouts.values()]
    return lacking[0] if all(lacking) else []


def missing_by_hand(name: str) -> list[Path]:
    """Return those of `missing_files` that no download brings: a place is fetched as a whole or not at all."""
    entry, missing = _entry(name), missing_files(name)
    if isinstance(entry, EmbeddedTask):
        return missing
    fetched = [folder_of(entry, download.place) for download in entry.downloads]
    return [path for path in missing if not any(path.is_relative_to(folder) for folder in fetched)]


def require_fetchable(name: str) -> None:
    """Check that a task is here, or that downloads bring it; raise `UserError` with what to do if neither is so."""
    if missing_by_hand(name):
        raise UserError(how_to_get(name))


def find_layout(entry: TaskEntry) -> Layout:
    """Return the first layout of a data set that is on disk; its first of all if none is."""
    layouts = list(entry.layouts.values())
    return next((layout for layout in layouts if not _lacking(entry, layout)), layouts[0])


def folder_of(entry: TaskEntry, place: str = "") -> Path:
    """Return the folder of a data set, or of another place that it reads from."""
    return plugins.place_of(place or entry.place)


def how_to_get(name: str) -> str:
    """Say what a data set lacks on this disk, and what to do about it."""
    entry, lacking = _entry(name), missing_files(name)
    if isinstance(entry, EmbeddedTask):
        return f"task '{name}' is not on disk: {lacking[0]} is missing. Restore it: git checkout -- data/embedded"
    first, more = lacking[0], f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    by_hand = f"\n  to get it: {entry.access}" if entry.access else ""
    rest = "then, for the rest" if missing_by_hand(name) else "to fetch it"
    fetched = f"\n  {rest}: nml data fetch {name}" if entry.downloads else ""
    steps = by_hand + fetched if missing_by_hand(name) else fetched + by_hand
    return (
        f"task '{name}' ({entry.title}) is not on disk: {first} is missing{more}.\n"
        f"  licence: {entry.licence}\n  size: {entry.size}{steps}{other_layouts(entry)}\n"
        f"  If it is on this disk already, say where in {plugins.PATHS_FILE}, as `{entry.place}: /its/folder`."
    )


def other_layouts(entry: TaskEntry) -> str:
    """Say how the layouts are had that no download of a data set brings, a line each."""
    return "".join(f"\n  or, as {key}: {layout.access}" for key, layout in entry.layouts.items() if layout.access)


def _entry(name: str) -> EmbeddedTask | TaskEntry:
    if name not in plugins.tasks():
        raise UserError(f"there is no task '{name}' in nml/tasks/catalogue.yaml: {', '.join(plugins.tasks())}.")
    return plugins.tasks()[name]


def _lacking(entry: TaskEntry, layout: Layout) -> list[Path]:
    needed = [folder_of(entry, part.place) / need for part in layout.parts.values() for need in layout.needs_of(part)]
    return [path for path in dict.fromkeys(needed) if not path.exists()]
