"""`nml report`: tables, figures and page of the cells that are there, whether the matrix is complete or not."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nml.cli.cells import problem_of, problem_of_spectrum
from nml.cli.jobs import ENCODER_RULES, Job, jobs_of
from nml.cli.states import DONE, FAILED, MISSING, STALE, State, cell_states, state_of
from nml.config.grid import data_sets_of, encoders_of, pictured_noises
from nml.config.load import load_config
from nml.config.schema import Config
from nml.errors import UserError
from nml.grid import encoder_dir, spectrum_path
from nml.reporting.encoders import learning_table
from nml.reporting.figures import draw_figures
from nml.reporting.markdown import require_own_page, write_markdown
from nml.reporting.report import write_report
from nml.reporting.tables import build_tables


def run(options: argparse.Namespace) -> None:
    """Write `tables/`, `figures/` and `report/index.html` of `options.config` to the folder `options.out`."""
    config = load_config(options.config)
    if options.markdown:
        # Said before the work, not after it.
        require_own_page(options.markdown)
    jobs = jobs_of(config)
    failed = _failed_encoders(jobs)
    states = [_blamed(row, failed) for row in usable_cells(jobs)]
    present = [state["path"] for state in states if state["state"] == DONE]
    absent = [state for state in states if state["state"] != DONE]
    if not present:
        raise UserError(_nothing(absent))
    out = Path(options.out)
    spectra = [str(spectrum_path(e, task)) for e in encoders_of(config) for task in config.tasks]
    metas = [Path(encoder_dir(encoder), "meta.json") for encoder in encoders_of(config)]
    spectra, problems = _sorted_out(spectra, problem_of_spectrum)
    metas, more = _sorted_out(metas, _problem_of_encoder)
    build_tables(present, spectra, metas, out / "tables", absent)
    draw_figures(out / "tables", out / "figures")
    write_report(
        out / "tables", out / "figures", out / "report/index.html", config.name, *map(_there, _pictures(config))
    )
    if options.markdown:
        command = f"nml report --config {options.config} --markdown {options.markdown}"
        write_markdown(out / "tables", out / "figures", options.markdown, config.name, command)
    print((out / "tables/main.txt").read_text(encoding="utf-8"))
    if problems := problems + more:
        print(f"{len(problems)} spectra or descriptions of encoders are left out, first of all: {problems[0]}")
    if stale := [state for state in states if state["state"] == DONE and state["reason"]]:
        print(f"{len(stale)} cells are older than their encoder, first of all {stale[0]['path']}; they are used.")
    print(f"{len(present)} of {len(states)} cells: {out}/report/index.html")


def usable_cells(jobs: list[Job]) -> Iterable[dict[str, Any]]:
    """Yield the state of every cell as a row; one whose rows or predictions cannot be read is `failed`."""
    for state in cell_states(jobs):
        row = state.row()
        if state.state in (DONE, STALE):
            problem = problem_of(Path(state.path))
            row |= {"state": FAILED, "reason": problem} if problem else {"state": DONE}
        yield row


def _failed_encoders(jobs: list[Job]) -> dict[str, State]:
    """Return the state of each encoder whose job failed, by its address."""
    states = (state_of(job, job.outputs[0]) for job in jobs if job.rule in ENCODER_RULES)
    return {_address(state.path): state for state in states if state.state == FAILED}


def _address(path: str) -> str:
    """Return the encoder that a file `results/<kind>/<encoder>/...` is of."""
    return "/".join(Path(path).parts[2:6])


def _blamed(row: dict[str, Any], failed: dict[str, State]) -> dict[str, Any]:
    """Say of a cell that is missing that its encoder failed, if it did."""
    state = failed.get(_address(row["path"]))
    if row["state"] != MISSING or state is None:
        return row
    return row | {"state": FAILED, "reason": f"its encoder failed: {state.reason}", "log": state.log}


def _sorted_out(files: Iterable[str | Path], problem: Callable[[Path], str]) -> tuple[list[Path], list[str]]:
    """Return the files that are there and can be used, and what is wrong with the others that are there."""
    found = {file: problem(file) for file in _there(files)}
    return [file for file, what in found.items() if not what], list(filter(None, found.values()))


def _problem_of_encoder(meta: Path) -> str:
    try:
        learning_table([meta])
    except UserError as error:
        return str(error)
    return ""


def _there(files: Iterable[str | Path]) -> list[Path]:
    return [Path(file) for file in files if Path(file).is_file()]


def _pictures(config: Config) -> tuple[list[str], list[str]]:
    noises = [f"results/figures/noise/{corpus}/{noise}.png" for corpus, noise in pictured_noises(config)]
    return noises, [f"results/figures/tasks/{task}.png" for task in data_sets_of(config)]


def _nothing(absent: list[dict[str, Any]]) -> str:
    failed = [row for row in absent if row["state"] == FAILED]
    first = f" First of all {failed[0]['path']}: {failed[0]['reason']} ({failed[0]['log']})." if failed else ""
    return (
        f"none of the {len(absent)} cells of the matrix can be reported on: {len(failed)} failed, the others are not "
        f"there.{first} Make them with snakemake; `nml status` says what is done."
    )
