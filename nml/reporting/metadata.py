"""What is noted of each cell in `<method>.meta.json` beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.errors import UserError


@contextmanager
def metadata_of(cell: Path) -> Iterator[dict[str, Any]]:
    """Yield the metadata of a cell.

    Raises
    ------
    UserError
        They are not there, or the block does not find in them what it takes.
    """
    path = cell.with_suffix(".meta.json")
    try:
        yield read_json(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Make it with snakemake, which takes its path as a target.") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is no metadata of a cell ({error!r}). Delete it and its cell, and rerun.") from error
