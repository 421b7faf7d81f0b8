"""What this project says of a real data set, beside its catalogue entry: its classes and the split of its samples."""

from typing import Any

from nml import plugins
from nml.artifacts import sha256_file
from nml.task_entries import TaskEntry
from nml.tasks.class_lists import class_folders, class_names


def said_by_project(entry: TaskEntry) -> dict[str, Any]:
    """Return the names and folders of the classes, and the checksum of each file that splits or labels samples.

    Those files are the `index` of a part and its list of `labels`. Of the classes the values count, so that one more
    column of their table changes nothing.

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
    return {"names": class_names(entry), "folders": class_folders(entry), "files": files}
