"""What this project says of the data in a real data set: its entry, its classes and the split of its samples."""

from typing import Any

from nml import plugins
from nml.artifacts import sha256_file
from nml.task_entries import TaskEntry
from nml.tasks.class_lists import class_folders, class_names


def said_by_project(entry: TaskEntry) -> dict[str, Any]:
    """Return what an entry says of the data, its classes, and the checksum of each file that splits or labels samples.

    Those files are the `index` of a part and its list of `labels`. Of the classes the names and folders count, so that
    one more column of their table changes nothing; nor does how the data is had.

    Raises
    ------
    UserError
        If the classes' file is missing or does not fit the entry.
    """
    parts = [(layout, part) for layout in entry.layouts.values() for part in layout.parts.values()]
    named = {str(layout.options_of(part).get("index", "")) for layout, part in parts} | {
        part.labels for _, part in parts
    }
    files = {file: sha256_file(plugins.PACKAGE.parent / file) for file in sorted(named - {""})}
    facts = entry.model_dump(include={"classes", "tests", "layouts"}, exclude={"layouts": {"__all__": {"access"}}})
    return facts | {"names": class_names(entry), "folders": class_folders(entry), "files": files}
