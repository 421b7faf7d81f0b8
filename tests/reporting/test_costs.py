from pathlib import Path

import pytest

from nml.artifacts import write_json, write_text
from nml.errors import UserError
from nml.reporting.costs import run_times


def cell(root: Path, task: str, meta: dict | None) -> Path:
    path = root / "results/cells/emoji/small/clean/s0" / task / "lp.parquet"
    if meta is not None:
        write_json(path.with_suffix(".meta.json"), meta)
    return path


def test_times_are_averaged_and_summed_over_the_cells_that_have_one(tmp_path):
    metas = {"a": {"wall_seconds": 1800, "process_peak_memory_bytes": 2e9}, "b": {"wall_seconds": 5400}, "c": None}
    row = run_times([cell(tmp_path, task, meta) for task, meta in metas.items()]).iloc[0]
    assert row[["corpus", "recipe", "method", "cells", "timed"]].tolist() == ["emoji", "small", "lp", 3, 2]
    assert (row["seconds"], row["hours"], row["peak_memory_gb"]) == (3600, 2, 2)


def test_broken_metadata_are_named(tmp_path):
    path = cell(tmp_path, "a", None)
    write_text(path.with_suffix(".meta.json"), '{"wall_seconds": "long"')
    with pytest.raises(UserError, match=r"a/lp\.meta\.json is no metadata"):
        run_times([path])
