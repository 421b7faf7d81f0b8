"""Killed and starved at random moments, a run ends as if nothing had happened: a short form of `make chaos`."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from tests.workflow import chaos
from tests.workflow.conftest import ROOT, Project

TARGET = "results/cells/emoji/clip-smoke/swap-20/s0/handwritten-digits/nmtune.parquet"


@pytest.mark.workflow
def test_after_some_strikes_a_cell_is_as_in_calm_and_nothing_is_left_over(finished: Project) -> None:
    command = [sys.executable, "-m", "tests.workflow.chaos", "--seed", "4", "--strikes", "6"]
    done = subprocess.run(
        [*command, "--calm", str(finished.path), TARGET], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-3000:]
    if chaos.NO_DISK in done.stdout:
        warnings.warn(chaos.NO_DISK, stacklevel=1)


def a_run(folder: Path, program: str) -> chaos.Chaos:
    """Return chaos whose run is some program of Python that says that it is ready by a file."""
    torment = chaos.Chaos(Project(folder), random.Random(0), None, start_seconds=0.1)
    torment.run = subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, env=os.environ | {chaos.MARK: torment.mark}, start_new_session=True
    )
    while not (folder / "ready").exists():
        assert torment.run.poll() is None, "it ended before it was ready"
        time.sleep(0.01)
    return torment


# Writes over and over, and notes the first error as a folder, which needs no room.
GROWS = """
import os, pathlib, time
pathlib.Path("ready").touch()
while True:
    try:
        with open("file", "wb", buffering=0) as file:
            file.write(bytes(100))
            file.write(bytes(100))
    except OSError as error:
        os.mkdir(f"error-{error.errno}")
        break
    time.sleep(0.001)
"""


def test_without_a_small_disk_files_may_not_grow_for_a_while(tmp_path: Path) -> None:
    torment = a_run(tmp_path, GROWS)
    try:
        with chaos._no_files_beyond(50, torment):
            assert torment.run.wait(60) == 0
    finally:
        torment.end()
    assert (tmp_path / f"error-{errno.EFBIG}").is_dir()


def test_only_processes_of_the_run_are_met_and_all_of_them_end(tmp_path: Path) -> None:
    children = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    ready = "import pathlib; pathlib.Path('ready').touch()\nimport time; time.sleep(600)"
    torment = a_run(tmp_path, children + ready)
    other = os.environ | {chaos.MARK: "another run"}
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=other)
    try:
        met = {process.pid for process in torment.processes()}
        assert torment.run.pid in met and len(met) == 2
        assert not met & {bystander.pid, os.getpid()}
        os.kill(torment.run.pid, signal.SIGKILL)
        torment.run.wait()
        assert len(torment.processes()) == 1, "the child outlives it, and is known by its mark"
        torment.end()
        assert torment.left_over() == [] and bystander.poll() is None
    finally:
        torment.end()
        bystander.kill()
        bystander.wait()


def test_every_difference_is_told(tmp_path: Path) -> None:
    ours, calm = Project(tmp_path / "ours"), Project(tmp_path / "calm")
    for project in (ours, calm):
        for name in ("cells/a.parquet", "cells/a.meta.json", "tables/run_times.md", "tables/ranks.md"):
            path = project.path / "results" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"calm")
    assert chaos.differences(ours, calm) == []
    for name in ("cells/a.meta.json", "tables/run_times.md"):
        (ours.path / "results" / name).write_bytes(b"times differ")
    assert chaos.differences(ours, calm) == []
    (ours.path / "results/cells/a.parquet").write_bytes(b"other")
    (ours.path / "results/progress/x").mkdir(parents=True)
    (ours.path / "results/cells/.a.12.tmp.parquet").touch()
    (ours.path / "results/tables/ranks.md").unlink()
    expected = ["stray: cells/.a.12.tmp.parquet", "stray: progress", "stray: progress/x"]
    assert chaos.differences(ours, calm) == [*expected, "missing: tables/ranks.md", "differs: cells/a.parquet"]
    assert chaos.differences(ours, calm, partly=True) == [*expected, "differs: cells/a.parquet"]
