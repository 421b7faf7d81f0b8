"""`nml status`: which encoders and cells are there, which are missing, and which jobs did not finish."""

import argparse
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from nml.cli.console import console, table
from nml.cli.jobs import cells_of, jobs_of
from nml.cli.states import DONE, FAILED, RUNNING, STALE, STATES, State, cell_states, job_states
from nml.config.grid import encoders_of
from nml.config.load import load_config
from nml.config.schema import Config
from nml.grid import Encoder, encoder_dir

_SHOWN = 20


def run(options: argparse.Namespace) -> None:
    """Print the matrix of `options.config`, or only the paths of its missing cells."""
    config = load_config(options.config)
    if options.missing:
        print(*missing_cells(config), sep="\n", end="\n" if missing_cells(config) else "")
        return
    jobs = jobs_of(config)
    cells, others = list(cell_states(jobs)), list(job_states(jobs))
    if options.json:
        print(json.dumps(_as_json(config, cells, others), indent=1))
        return
    out = console()
    out.print(_matrix(config, cells))
    out.print(_legend(config, cells))
    out.print(_counts(cells))
    if troubled := [state for state in (*others, *cells) if _needs_attention(state)]:
        out.print(_troubles(troubled))


def _needs_attention(state: State) -> bool:
    return state.state in (FAILED, STALE, RUNNING) or bool(state.reason)


def missing_cells(config: Config) -> list[str]:
    """Return the paths of the cells that are not there, in the order of the matrix."""
    pairs = [(encoder, task) for encoder in encoders_of(config) for task in config.tasks]
    return [cell for pair in pairs for cell in cells_of(config, *pair) if not Path(cell).is_file()]


def _matrix(config: Config, cells: list[State]) -> Table:
    numbers = [str(number) for number, _ in enumerate(config.tasks, start=1)]
    made = table("encoder", "weights", *numbers)
    there = Counter(os.path.dirname(state.path) for state in cells if state.state in (DONE, STALE))
    for encoder in encoders_of(config):
        shares = [_share(there[f"results/cells/{encoder}/{task}"], len(config.methods)) for task in config.tasks]
        made.add_row(str(encoder), weights_state(encoder), *shares)
    return made


def weights_state(encoder: Encoder) -> str:
    """Return `done`, `in progress` (training stopped or is running, and can resume) or `missing`."""
    if Path(encoder_dir(encoder), "model.safetensors").is_file():
        return "done"
    return "in progress" if Path("results/progress", str(encoder)).is_dir() else "missing"


def _share(present: int, methods: int) -> str:
    return {0: "·", methods: "●"}.get(present, f"{present}/{methods}")


def _legend(config: Config, cells: list[State]) -> str:
    tasks = "\n".join(f"  {number:>2}  {task}" for number, task in enumerate(config.tasks, start=1))
    total, done = len(cells), sum(state.state in (DONE, STALE) for state in cells)
    methods = ", ".join(sorted(config.methods))
    return f"\n{done} of {total} cells are there.  ● all of {methods}   n/{len(config.methods)} some   · none\n{tasks}"


def _counts(cells: list[State]) -> str:
    counts = Counter(state.state for state in cells)
    return "\nCells: " + ", ".join(f"{counts[state]} {state}" for state in STATES)


def _troubles(troubled: list[State]) -> str:
    """List what needs attention, once for each log and reason."""
    unique = list({(state.log, state.state, state.reason): state for state in reversed(troubled)}.values())[::-1]
    lines = [f"  {state.state:8}{state.path}\n          {state.log}  {state.reason}" for state in unique[:_SHOWN]]
    if len(unique) > _SHOWN:
        lines.append(f"  and {len(unique) - _SHOWN} more; all of them: nml status --json")
    return "\nNot as it should be (failed, or stopped before the end; stale; running):\n" + "\n".join(lines)


def _as_json(config: Config, cells: list[State], others: list[State]) -> dict[str, Any]:
    counts = Counter(state.state for state in cells)
    return {
        "schema": 1,
        "name": config.name,
        "cells": {state: counts[state] for state in STATES},
        "rows": [state.row() for state in cells],
        "other_jobs": [state.row() for state in others],
    }
