import json
from pathlib import Path

import pytest

from nml.artifacts import write_json, write_text
from nml.errors import UserError
from nml.reporting.costs import COST_COLUMNS, cost_table, run_times
from nml.reporting.tables import read_table
from nml.reporting.writing import write_table


def cell(root: Path, task: str, meta: dict | None) -> Path:
    path = root / "results/cells/emoji/small/clean/s0" / task / "lp.parquet"
    if meta is not None:
        write_json(path.with_suffix(".meta.json"), meta)
    return path


def test_times_are_averaged_and_summed_over_the_cells_that_have_one(tmp_path):
    metas = {"a": {"wall_seconds": 1800, "process_peak_memory_bytes": 2e9}, "b": {"wall_seconds": 5400}, "c": {}}
    row = run_times([cell(tmp_path, task, meta) for task, meta in metas.items()]).iloc[0]
    assert row[["corpus", "recipe", "method", "cells", "timed"]].tolist() == ["emoji", "small", "lp", 3, 2]
    assert (row["seconds"], row["hours"], row["peak_memory_gb"]) == (3600, 2, 2)


def test_absent_and_broken_metadata_are_named(tmp_path):
    path = cell(tmp_path, "a", None)
    with pytest.raises(UserError, match=r"a/lp\.meta\.json does not exist"):
        run_times([path])
    write_text(path.with_suffix(".meta.json"), '{"wall_seconds": "long"')
    with pytest.raises(UserError, match=r"a/lp\.meta\.json is no metadata"):
        run_times([path])


def leave(root: Path, job: str, **cost: object) -> None:
    """Leave what a job leaves of its cost."""
    entry = {"outcome": "done", "seconds": 3600, "cpu_seconds": 7200, "peak_memory_bytes": 2e9} | cost
    write_text(root / f"results/logs/{job}.cost.jsonl", json.dumps(entry) + "\n")


GPU = {"gpu": "NVIDIA H200", "gpus": 0.25, "gpu_seconds": 900, "peak_gpu_memory_bytes": 5e9, "energy_joules": 3.6e6}


def test_gpu_hours_of_a_method_count_the_share_that_its_job_had(tmp_path):
    cells = [cell(tmp_path, task, {"wall_seconds": 7200}) for task in ("a", "b")]
    assert run_times(cells)["gpu_hours"].isna().all()
    leave(tmp_path, "tune/emoji/small/clean/s0/a", **GPU)
    assert run_times(cells)["gpu_hours"].tolist() == [0.5]
    leave(tmp_path, "tune_encoder/emoji/small/clean/s0/b/lp", **(GPU | {"gpus": 2}))
    assert run_times(cells)["gpu_hours"].tolist() == [4.5]


def test_costs_are_summed_by_rule_encoders_and_gpu(tmp_path):
    for task in ("a", "b"):
        leave(tmp_path, f"tune/emoji/small/clean/s0/{task}", **GPU)
    leave(tmp_path, "tune/emoji/small/clean/s0/c")
    leave(tmp_path, "tune_encoder/emoji/small/clean/s0/a/lora-x")
    leave(tmp_path, "index_corpus/emoji", peak_memory_bytes=None)
    write_text(tmp_path / "results/benchmarks/build_tables.jsonl", '{"s": 36, "cpu_time": 18, "max_rss": 100}\n')
    table = cost_table(tmp_path / "results")
    assert list(table) == COST_COLUMNS
    assert table["rule"].tolist() == ["build_tables", "index_corpus", "tune", "tune", "tune_encoder"]
    shared = table[table["gpu"] == "NVIDIA H200"].iloc[0]
    assert shared[["corpus", "recipe", "jobs", "tries"]].tolist() == ["emoji", "small", 2, 2]
    assert shared[["hours", "cpu_hours", "gpu_hours", "energy_kwh"]].tolist() == [2, 4, 0.5, 2]
    assert shared[["peak_memory_gb", "peak_gpu_memory_gb"]].tolist() == [2, 5]
    assert table.iloc[4][["method", "gpu", "gpu_hours"]].tolist() == ["lora-x", "", 0]
    assert table.iloc[0][["corpus", "hours"]].tolist() == ["", 0.01]
    assert table["peak_memory_gb"].isna().tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("gpu", [{}, GPU])
def test_the_table_is_written_with_or_without_gpus_or_records(tmp_path, gpu):
    write_table(cost_table(tmp_path / "results"), tmp_path / "cost", "")
    leave(tmp_path, "tune/emoji/small/clean/s0/a", **gpu)
    write_table(cost_table(tmp_path / "results"), tmp_path / "cost", "")
    text = (tmp_path / "cost.md").read_text()
    assert ("GPU-hours" in text) == bool(gpu)
    assert (tmp_path / "cost.tex").is_file()
    assert read_table(tmp_path, "cost")["hours"].tolist() == [1]
