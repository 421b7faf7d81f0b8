"""The classes of real data sets: names and folders by label, and which of them occur in a part."""

from pathlib import Path

from nml import plugins
from nml.corpora.class_names import read_column, read_names
from nml.errors import UserError
from nml.task_entries import Part, TaskEntry


def class_names(entry: TaskEntry) -> list[str]:
    """Return the names of a data set's classes by label.

    Raises
    ------
    UserError
        If their file is missing, or names another number of classes than the entry.
    """
    names = read_names(_project_file(entry.class_names))
    if len(names) != entry.classes:
        raise UserError(
            f"{entry.title}: {entry.class_names} names {len(names)} classes, but its entry in the catalogue says "
            f"{entry.classes}. Correct whichever is wrong."
        )
    return names


def present_labels(entry: TaskEntry, part: Part) -> list[int]:
    """Return the labels that occur in a part; raise `UserError` if its list names an unknown class."""
    if not part.labels:
        return list(range(entry.classes))
    places = {folder: label for label, folder in enumerate(class_folders(entry))}
    listed = _project_file(part.labels).read_text(encoding="utf-8").split()
    if unknown := [folder for folder in listed if folder not in places]:
        raise UserError(f"{part.labels} lists {unknown[0]}, which is no class of {entry.class_names}.")
    return sorted(places[folder] for folder in listed)


def class_folders(entry: TaskEntry) -> list[str]:
    """Return the names of the classes' folders by label."""
    file = _project_file(entry.class_names)
    return read_column(file, entry.class_folders) if entry.class_folders else read_names(file)


def _project_file(file: str) -> Path:
    """Return a file that an entry names from the root of the project."""
    return plugins.PACKAGE.parent / file
