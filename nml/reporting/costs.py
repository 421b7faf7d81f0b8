"""What the study costs: the run time of each tuning method, and time, memory, GPU and energy of all jobs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.costs import JobCost, cost_of, job_costs
from nml.reporting.metadata import metadata_of

COLUMNS = ["corpus", "recipe", "method", "cells", "timed", "seconds", "hours", "gpu_hours", "peak_memory_gb"]
COST_SUMS = {"tries": "tries", "hours": "seconds", "cpu_hours": "cpu_seconds", "gpu_hours": "gpu_seconds"}
COST_PEAKS = {"peak_memory_gb": "peak_memory_bytes", "peak_gpu_memory_gb": "peak_gpu_memory_bytes"}
COST_COLUMNS = ["rule", "corpus", "recipe", "method", "gpu", "jobs", *COST_SUMS, *COST_PEAKS, "energy_kwh"]
# What the names of a rule's jobs begin with; that of `tune_encoder` ends with the method.
_NAMES = {rule: ("corpus", "recipe") for rule in ("pretrain", "initialise_encoder", "tune", "tune_encoder")}
_NAMES |= {"import_encoder": ("recipe",)}
_NAMES |= {rule: ("corpus",) for rule in ("index_corpus", "inject_noise", "draw_noise", "materialise")}


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
    while its heads trained on whatever device ran them; `gpu_hours` the part of these on GPUs, times their number, a
    share of one counting as such, by the records of the jobs (`nml.costs`): missing where no GPU computed or the
    record is not here; `peak_memory_gb` (10^9 bytes) the most that a process held.

    Raises
    ------
    UserError
        A metadata file is not there, or cannot be read.
    """
    rows = pd.DataFrame([run_facts(file) for file in map(Path, cell_files)])
    groups = rows.groupby(["corpus", "recipe", "method"])
    table = groups.agg(
        cells=("seconds", "size"),
        timed=("seconds", "count"),
        seconds=("seconds", "mean"),
        hours=("seconds", lambda seconds: seconds.sum(min_count=1) / 3600),
        gpu_hours=("gpu_seconds", lambda seconds: seconds.sum(min_count=1) / 3600),
        peak_memory_gb=("memory", lambda sizes: sizes.max() / 1e9),
    )
    return table.reset_index()[COLUMNS]


def run_facts(cell: Path) -> dict[str, object]:
    """Return what one cell took, and whose it is; raise `UserError` if its metadata cannot be read."""
    with metadata_of(cell) as meta:
        return {
            **dict(zip(("corpus", "recipe"), cell.parts[-6:-4], strict=True)),
            "method": cell.stem,
            "seconds": (seconds := float(meta.get("wall_seconds", float("nan")))),
            "gpu_seconds": seconds * (_gpus(cell) or float("nan")),
            "memory": float(meta.get("process_peak_memory_bytes", float("nan"))),
        }


def _gpus(cell: Path) -> float:
    """Return how many GPUs the job of a cell had, by its record; 0 without one."""
    results, pair = cell.parents[6], "/".join(cell.parts[-6:-1])
    cost = cost_of("tune_encoder", f"{pair}/{cell.stem}", results) or cost_of("tune", pair, results)
    return cost.gpus if cost else 0


def cost_table(results: Path) -> pd.DataFrame:
    """Return what the jobs of a results folder cost that led to its present outputs, by rule, encoders and GPU.

    Returns
    -------
    DataFrame with `COST_COLUMNS`: corpus, recipe and method are empty where a rule's jobs are of none; `tries` counts
    those that failed or were asked to stop as well, and so do the hours, of wall time, of all cores, and of GPUs;
    peaks in 10^9 bytes, of one process and of one device; what nothing is known of is missing.
    """
    rows = pd.DataFrame([_cost_row(cost) for cost in job_costs(results)], columns=[*COST_COLUMNS])
    keys = ["rule", "corpus", "recipe", "method", "gpu"]
    columns = {name: (name, "sum") for name in ("jobs", *COST_SUMS)} | {name: (name, "max") for name in COST_PEAKS}
    energy = ("energy_kwh", lambda values: values.sum(min_count=1))
    return rows.groupby(keys).agg(**columns, energy_kwh=energy).reset_index()[COST_COLUMNS]


def _cost_row(cost: JobCost) -> dict[str, object]:
    parts, named = cost.name.split("/"), _NAMES.get(cost.rule, ())
    row: dict[str, object] = {"rule": cost.rule, "corpus": "", "recipe": "", "method": "", "gpu": cost.gpu, "jobs": 1}
    row |= dict(zip(named, parts, strict=False)) | ({"method": parts[-1]} if cost.rule == "tune_encoder" else {})
    row |= {name: getattr(cost, field) / (1 if name == "tries" else 3600) for name, field in COST_SUMS.items()}
    row |= {name: _scaled(getattr(cost, field), 1e9) for name, field in COST_PEAKS.items()}
    return row | {"tries": cost.tries, "energy_kwh": _scaled(cost.energy_joules, 3.6e6)}


def _scaled(value: float | None, unit: float) -> float:
    return float("nan") if value is None else value / unit
