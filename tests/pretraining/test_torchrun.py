"""What becomes of the real processes of a training on several devices when it is asked to stop, or parts are killed."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from nml.artifacts import write_json
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.preemption import EXIT_CODE
from nml.pretraining.launch import _described
from nml.pretraining.resuming import checkpoints
from nml.pretraining.run import Run
from tests.small_corpus import copy_corpus

ROOT = Path(__file__).parents[2]
JOB = """
from pathlib import Path
from types import SimpleNamespace
from nml.artifacts import read_json
from nml.jobs import job
from nml.pretraining.launch import launch, read_run

if __name__ == "__main__":
    log = Path("job.log")
    with job(SimpleNamespace(rule="pretrain", log=[str(log)], resources={})):
        launch(read_run(read_json("run.json")), Path("encoder"), threads=2, processes=2, log=log)
"""


@pytest.fixture
def run(recipe, tmp_path, monkeypatch) -> Run:
    """A training on a part of the embedded corpus that takes much longer than the test."""
    copy_corpus(tmp_path, shards=2)
    monkeypatch.chdir(tmp_path)
    index_corpus(open_corpus("emoji"), tmp_path / "index")
    inject_noise(tmp_path / "index", Noise("swap", 20), 0, tmp_path / "noise")
    made = recipe("contrastive", epochs=2000, batch_size=512)
    corpus = open_corpus("emoji")
    return Run("an encoder", corpus, tmp_path / "noise", made, "clip-mini", 0, tmp_path / "progress", "code")


@contextmanager
def under_way(run: Run, folder: Path) -> Iterator[tuple[psutil.Process, list[psutil.Process]]]:
    """Start the job, in a group of its own; yield it and its processes, torchrun first, after an epoch."""
    write_json(folder / "run.json", _described(run))
    (folder / "job.py").write_text(JOB)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    job = psutil.Popen([sys.executable, "job.py"], cwd=folder, env=environment, start_new_session=True)
    family: list[psutil.Process] = []
    try:
        log = folder / "job.log"
        wait_until(lambda: job.poll() is not None or (log.is_file() and "epoch 1: loss" in log.read_text()))
        family = job.children(recursive=True)
        yield job, family
    finally:
        for process in (job, *family):
            if process.is_running():
                process.kill()
        job.wait()


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_locked(folder: Path) -> bool:
    with (folder / ".snakemake/nml-locks/job.log").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_a_signal_to_the_group_lets_all_save_and_end(run, tmp_path):
    with under_way(run, tmp_path) as (job, family):
        asked = time.time()
        os.killpg(job.pid, signal.SIGUSR1)
        assert job.wait(timeout=120) == EXIT_CODE
        assert psutil.wait_procs(family, timeout=60)[1] == []
    assert checkpoints(run)[0].stat().st_mtime > asked
    assert "pretrain: asked to stop. What is done is kept" in (tmp_path / "job.log").read_text()


def test_processes_whose_job_is_killed_save_and_end(run, tmp_path):
    with under_way(run, tmp_path) as (job, family):
        killed = time.time()
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert is_locked(tmp_path), "the next try waits for what outlives the job"
        assert psutil.wait_procs(family, timeout=120)[1] == []
        assert not is_locked(tmp_path)
    assert len(family) >= 3
    assert checkpoints(run)[0].stat().st_mtime > killed


def test_without_the_lock_nothing_is_written(run, tmp_path):
    """Where the job and `torchrun` are both killed, no process is left to save beside the next try."""
    with under_way(run, tmp_path) as (job, (torchrun, *others)):
        training = [process for process in others if "nml.pretraining.launch" in process.cmdline()]
        # Of what can be caught, a process that is stopped would hear only later, and would not end.
        stopped = (torchrun, *training)
        for process in stopped:
            process.suspend()
        wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in stopped))
        written = {path: path.stat().st_mtime_ns for path in run.progress_dir.iterdir()}
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert is_locked(tmp_path)
        torchrun.kill()
        assert psutil.wait_procs(others, timeout=120)[1] == []
        assert not is_locked(tmp_path)
    assert len(training) == 2
    assert {path: path.stat().st_mtime_ns for path in run.progress_dir.iterdir()} == written
