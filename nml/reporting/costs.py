"""What tuning costs: the run time of each method, from the metadata beside the cells."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.artifacts import read_json
from nml.errors import UserError

COLUMNS = ["corpus", "recipe", "method", "cells", "timed", "seconds", "hours", "peak_memory_gb"]


def run_times(cell_files: Sequence[str | Path]) -> pd.DataFrame:
    """Return what the cells of each method took, from `<method>.meta.json` beside each.

    Parameters
    ----------
    cell_files
        Cells, `results/cells/<encoder>/<task>/<method>.parquet`; those whose metadata lack `wall_seconds` are counted
        as not timed.

    Returns
    -------
    DataFrame with `COLUMNS`: `seconds` is the mean of a timed cell, `hours` the sum over timed cells, of wall time
    while its heads trained on whatever device ran them; `peak_memory_gb` (10^9 bytes) the most that a process held.

    Raises
    ------
    UserError
        A metadata file is there, but cannot be read.
    """
    rows = pd.DataFrame([_facts(file) for file in map(Path, cell_files)])
    groups = rows.groupby(["corpus", "recipe", "method"])
    table = groups.agg(
        cells=("seconds", "size"),
        timed=("seconds", "count"),
        seconds=("seconds", "mean"),
        hours=("seconds", lambda seconds: seconds.sum(min_count=1) / 3600),
        peak_memory_gb=("memory", lambda sizes: sizes.max() / 1e9),
    )
    return table.reset_index()[COLUMNS]


def _facts(cell: Path) -> dict[str, object]:
    path = cell.with_suffix(".meta.json")
    try:
        meta = read_json(path) if path.is_file() else {}
        return {
            **dict(zip(("corpus", "recipe"), cell.parts[-6:-4], strict=True)),
            "method": cell.stem,
            "seconds": float(meta.get("wall_seconds", float("nan"))),
            "memory": float(meta.get("process_peak_memory_bytes", float("nan"))),
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no metadata of a cell ({error}). Delete it and its cell, and rerun.") from error
