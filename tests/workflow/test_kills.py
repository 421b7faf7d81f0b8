"""Killed at any stage and started again, a run ends as if nothing had happened."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
PAIR = "emoji/clip-smoke/swap-20/s0/handwritten-digits"
TARGET = f"results/cells/{PAIR}/nmtune.parquet"


def run_until(project, ready: Callable[[Path], bool], group: bool = True) -> None:
    """Start Snakemake on the target and kill it without warning once `ready`: with all its jobs, or it alone."""
    process = subprocess.Popen(
        project.command("--", TARGET),
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    try:
        while not ready(project.path / "results"):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()


def log_has(path: str) -> Callable[[Path], bool]:
    return lambda results: (results / "logs" / path).is_file()


STAGES = {
    "index": log_has("index_corpus/emoji.log"),
    "noise": log_has("inject_noise/emoji/swap-20.log"),
    "pretraining": lambda results: any((results / "progress/emoji/clip-smoke/swap-20/s0").glob("0*.safetensors")),
    "features": log_has(f"tune/{PAIR}.log"),
    "tuning": lambda results: (results / f"features/{PAIR}/meta.json").is_file(),
}


def test_killed_in_every_stage_the_cells_are_those_of_a_calm_run(project, finished):
    for ready in STAGES.values():
        run_until(project, ready)
    project.snakemake("--", TARGET)
    calm = finished.cells()
    made = project.cells()
    assert len(made) == 8, "four methods, each with its predictions"
    assert {path: made[path] == calm[path] for path in made} == dict.fromkeys(made, True)
    assert not list((project.path / "results").rglob(".*.tmp*"))


def test_a_job_that_outlives_a_killed_snakemake_does_no_harm(project, finished):
    run_until(project, STAGES["pretraining"], group=False)
    project.snakemake("--", TARGET)
    made = project.cells()
    assert made == {path: cell for path, cell in finished.cells().items() if path in made}


def test_a_second_run_in_the_same_folder_is_refused(project):
    import fcntl

    (project.path / ".snakemake").mkdir()
    with open(project.path / ".snakemake/nml.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output = project.snakemake("--", "results/corpora/emoji/manifest.json", fails=True)
    assert "another run of this workflow is at work in this folder" in output


def test_what_a_killed_run_left_goes_at_the_next_start_with_nothing_to_be_done(rerun):
    """Snakemake was killed after its last job had ended, and before it removed what that had kept."""
    import fcntl

    left = [Path(rerun.path, "results/progress", name) for name in ("emoji/clip-smoke/swap-20/s0", "index/emoji")]
    other = Path(rerun.path, "results/progress/emoji/of-another-configuration/clean/s0")
    for folder in (*left, other):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state").touch()
    rerun.snakemake("--dry-run")
    with open(rerun.path / ".snakemake/nml.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rerun.snakemake("--", TARGET)
    assert all(folder.is_dir() for folder in left), "another run is at work, and this one has not begun"
    model = rerun.path / "results/encoders/emoji/clip-smoke/swap-20/s0/model.safetensors"
    model.rename(model.with_name("elsewhere"))
    assert "Nothing to be done" in rerun.snakemake("--", TARGET)
    # A training whose encoder is gone is not done, though its cells are there.
    assert [folder.is_dir() for folder in (*left, other)] == [True, False, True]
    model.with_name("elsewhere").rename(model)
    assert "Nothing to be done" in rerun.snakemake("--", TARGET)
    assert [folder.is_dir() for folder in (*left, other)] == [False, False, True]
