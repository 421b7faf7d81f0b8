"""`nml status`: which encoders and cells are there, which are missing, and which jobs did not finish."""

import argparse
from pathlib import Path

from rich.table import Table

from nml.cli.console import console, table
from nml.cli.jobs import Job, cells_of, jobs_of
from nml.config.grid import encoders_of
from nml.config.load import load_config
from nml.config.schema import Config
from nml.grid import Encoder, encoder_dir

_SHOWN_LOGS = 20


def run(options: argparse.Namespace) -> None:
    """Print the matrix of `options.config`, or only the paths of its missing cells."""
    config = load_config(options.config)
    if options.missing:
        print(*missing_cells(config), sep="\n", end="\n" if missing_cells(config) else "")
        return
    out = console()
    out.print(_matrix(config))
    out.print(_legend(config))
    if unfinished := [job for job in jobs_of(config) if job.log.is_file() and not job.is_done()]:
        out.print(_logs(unfinished))


def missing_cells(config: Config) -> list[str]:
    """Return the paths of the cells that are not there, in the order of the matrix."""
    pairs = [(encoder, task) for encoder in encoders_of(config) for task in config.tasks]
    return [cell for pair in pairs for cell in cells_of(config, *pair) if not Path(cell).is_file()]


def _matrix(config: Config) -> Table:
    numbers = [str(number) for number, _ in enumerate(config.tasks, start=1)]
    made = table("encoder", "weights", *numbers)
    for encoder in encoders_of(config):
        cells = (cells_of(config, encoder, task) for task in config.tasks)
        made.add_row(str(encoder), weights_state(encoder), *map(_share, cells))
    return made


def weights_state(encoder: Encoder) -> str:
    """Return `done`, `in progress` (training stopped or is running, and can resume) or `missing`."""
    if Path(encoder_dir(encoder), "model.safetensors").is_file():
        return "done"
    return "in progress" if Path("results/progress", str(encoder)).is_dir() else "missing"


def _share(cells: tuple[str, ...]) -> str:
    present = sum(Path(cell).is_file() for cell in cells)
    return {0: "·", len(cells): "●"}.get(present, f"{present}/{len(cells)}")


def _legend(config: Config) -> str:
    tasks = "\n".join(f"  {number:>2}  {task}" for number, task in enumerate(config.tasks, start=1))
    total = len(encoders_of(config)) * len(config.tasks) * len(config.methods)
    done = total - len(missing_cells(config))
    methods = ", ".join(sorted(config.methods))
    return f"\n{done} of {total} cells are there.  ● all of {methods}   n/{len(config.methods)} some   · none\n{tasks}"


def _logs(unfinished: list[Job]) -> str:
    lines = [f"  {job.log}  {_last_line(job.log)}" for job in unfinished[:_SHOWN_LOGS]]
    if len(unfinished) > _SHOWN_LOGS:
        lines.append(f"  and {len(unfinished) - _SHOWN_LOGS} more")
    return "\nStarted, but not finished (they failed, were stopped or are still running):\n" + "\n".join(lines)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "(empty)")
