"""A full disk, said in words that help."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nml.errors import UserError


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk, or of a spent quota, into a `UserError` that names the folder written to."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"no space is left to write to {folder}. Nothing half-written was left there. Make room, then run again: "
            "what is done is kept."
        ) from error
