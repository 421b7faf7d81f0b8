"""What state each job and each cell is in, and why."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nml.cli.jobs import Job
from nml.costs import last_outcome

DONE, MISSING, RUNNING, FAILED, STALE = "done", "missing", "running", "failed", "stale"
STATES = (DONE, MISSING, RUNNING, FAILED, STALE)
NOTHING: Mapping[str, float] = {}
_MAGIC = b"PAR1"
# What is said of outputs that are not there though their job did not fail, by how it ended.
_ASKED_FOR_AGAIN = {"done": "", "preempted": "asked to stop"}
_MAKE_CELLS = ("tune", "tune_encoder")


@dataclass(frozen=True)
class State:
    """The state of one file that a job makes: one of `STATES`, with the reason if it is not done."""

    path: str
    state: str
    reason: str
    log: str

    def row(self) -> dict[str, Any]:
        return asdict(self)


def state_of(job: Job, output: str, inputs: Mapping[str, float] = NOTHING) -> State:
    """Return the state of an output, one of the job's; `inputs` are modification times by path.

    - `done`: it is there, whole, and no older than the inputs;
    - `stale`: it is there, but an input is newer. Snakemake decides: it also sees changed parameters and code, and
      leaves alone what an equal input was made again for;
    - `failed`: it is there, but damaged; or it is not there, and its job left a log and is not at work, unless the job
      ended well (the output was asked for later, or deleted) or was asked to stop;
    - `running`: its job holds its lock; `missing`: none of these.
    """
    log = job.log
    shown = str(log) if os.path.isfile(log) else ""
    if os.path.isfile(output):
        if reason := damage(output):
            return State(output, FAILED, reason, shown)
        made = os.stat(output).st_mtime
        newer = next((name for name, changed in inputs.items() if changed > made), None)
        return State(output, STALE, f"{newer} is newer", shown) if newer else State(output, DONE, "", shown)
    if is_running(log):
        return State(output, RUNNING, "", shown)
    if not shown:
        return State(output, MISSING, "", "")
    outcome = last_outcome(log)
    if outcome in _ASKED_FOR_AGAIN:
        return State(output, MISSING, _ASKED_FOR_AGAIN[outcome], shown)
    return State(output, FAILED, last_line(log), shown)


def damage(path: str) -> str:
    """Return what is wrong with a Parquet file as can be seen from its ends, or an empty string."""
    if not path.endswith(".parquet"):
        return ""
    with open(path, "rb", buffering=0) as file:
        start = file.read(4)
        file.seek(-len(start), os.SEEK_END)
        whole = start == _MAGIC and file.read(4) == _MAGIC
    return "" if whole else "the file is truncated, or no Parquet: delete it and rerun"


def is_running(log: Path) -> bool:
    """Tell whether a process holds the lock of the job with this log; see `nml.jobs`."""
    lock = Path(".snakemake", "nml-locks", str(log).replace("/", "+"))
    if not lock.is_file():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty: of a failed job its error."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "(empty)")


def cell_states(jobs: list[Job]) -> Iterator[State]:
    """Yield the state of every cell, in the order of the matrix."""
    for job in jobs:
        if job.rule in _MAKE_CELLS:
            encoder = f"results/encoders/{'/'.join(job.name.split('/')[:4])}/model.safetensors"
            inputs = {encoder: os.stat(encoder).st_mtime} if os.path.isfile(encoder) else {}
            for output in job.outputs:
                if output.startswith("results/cells/") and not output.endswith((".predictions.parquet", ".json")):
                    yield state_of(job, output, inputs)


def job_states(jobs: list[Job]) -> Iterator[State]:
    """Yield the state of every job that makes no cells, under the name of its first output that is not done."""
    for job in jobs:
        if job.rule not in _MAKE_CELLS:
            states = [state_of(job, output) for output in job.outputs]
            yield next((state for state in states if state.state != DONE), states[0])
