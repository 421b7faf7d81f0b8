"""The classes of a corpus: a text file with a name a line, or a CSV that says more of each class."""

import csv
from pathlib import Path

from nml.errors import UserError


def read_names(file: Path) -> list[str]:
    """Return the names of the classes by label, from a CSV with a column `name`, or text with a name a line.

    Raises
    ------
    UserError
        As `read_column` does.
    """
    return read_column(file, "name") if file.suffix == ".csv" else _text(file).splitlines()


def read_column(file: Path, column: str) -> list[str]:
    """Return a column of a CSV of classes, by label.

    Raises
    ------
    UserError
        If the file or the column is missing, or a column `label` does not count 0, 1, 2, …
    """
    rows = list(csv.DictReader(_text(file).splitlines()))
    if not rows or column not in rows[0]:
        raise UserError(f"{file} has no column '{column}'. Add it, or correct the catalogue's entry.")
    if "label" in rows[0] and [row["label"] for row in rows] != [str(label) for label in range(len(rows))]:
        raise UserError(f"{file}: its column 'label' must count 0 to {len(rows) - 1}, row by row.")
    return [row[column] for row in rows]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{file} is missing; it names the classes of a corpus. Restore it.") from None
