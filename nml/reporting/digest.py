"""Which cells, and of which bytes, a table was made from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nml.artifacts import sha256_file

DIGEST_KEY = "nml_cells"
"""Of the metadata of `tables/cells.parquet`: the digest of the cells whose rows it has."""


def address_of(file: str | Path) -> str:
    """Return what names a cell in its path, whatever folder it is in: `<encoder>/<task>/<method>.parquet`."""
    return "/".join(str(file).split("/")[-6:])


def cells_digest(files: Iterable[str | Path]) -> str:
    """Return a SHA-256, hexadecimal, over the addresses and the bytes of cells, in whatever order and folder they are.

    Bytes are read, since times and sizes say nothing after a copy.
    """
    names = sorted((address_of(file), file) for file in files)
    lines = (f"{address} {sha256_file(file)}\n" for address, file in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
