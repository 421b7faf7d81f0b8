"""Reading the small files that name and label samples: lists and MATLAB tables, with errors that name the file."""

from pathlib import Path
from typing import Any

from nml.errors import UserError

AGAIN = "Get the data set from its source again."


def read_lines(file: Path) -> list[str]:
    """Return the lines of a list that are not blank.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the list {file} cannot be read ({error}). {AGAIN}") from error


def read_mat(file: Path, *names: str) -> list[Any]:
    """Return variables of a MATLAB file, squeezed.

    Raises
    ------
    UserError
        If the file cannot be read or lacks one of them.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(file, variable_names=names, squeeze_me=True)
        return [found[name] for name in names]
    # scipy raises whatever its parser trips over.
    except Exception as error:
        raise UserError(f"{file} cannot be read as a MATLAB file with {', '.join(names)} ({error}). {AGAIN}") from error
