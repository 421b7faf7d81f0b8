"""What is noted of each cell in `<method>.meta.json` beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.errors import UserError
from nml.grid import Encoder

QUANTITIES = ["sve", "lsvr", "dominant_ratio"]
"""What is noted of a spectrum."""


@contextmanager
def metadata_of(cell: Path) -> Iterator[dict[str, Any]]:
    """Yield the metadata of a cell.

    Raises
    ------
    UserError
        They are not there, or the block does not find in them what it takes.
    """
    path = cell.with_suffix(".meta.json")
    if not path.is_file():
        raise UserError(f"{path} does not exist. Make it with snakemake, which takes its path as a target.")
    try:
        yield read_json(path)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is no metadata of a cell ({error!r}). Delete it and its cell, and rerun.") from error


def spectra_of(cell: Path) -> list[dict[str, object]]:
    """Return what the metadata of a cell say of its spectra: a row a test set, with the encoder, task and method.

    Raises
    ------
    UserError
        As `metadata_of`.
    """
    with metadata_of(cell) as meta:
        owner = {**Encoder.parse("/".join(cell.parts[-6:-2])).identity(), "task": cell.parts[-2], "method": cell.stem}
        return [
            {**owner, "test_set": test_set} | {name: float(found[name]) for name in QUANTITIES}
            for test_set, found in meta.get("spectra", {}).items()
        ]
