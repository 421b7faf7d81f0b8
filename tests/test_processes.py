"""Work in several processes: its order, its errors, and its end."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from nml.preemption import Preempted
from nml.processes import in_processes

ROOT = Path(__file__).parents[1]
# Two workers in the middle of a long job each, which note that they began.
PROGRAM = """
import pathlib, sys, time
from nml.processes import in_processes

def work(name):
    pathlib.Path(sys.argv[1], name).touch()
    time.sleep(600)

if __name__ == "__main__":
    list(in_processes(work, [("a",), ("b",)], 2))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(in_processes(pow, [(2, 3), (3, 2), (5, 1)], workers)) == [8, 9, 5]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_is_raised_as_it_is(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 1), (1, 0)], workers))


def be_asked_to_stop() -> None:
    raise Preempted


def test_being_asked_to_stop_ends_no_other_child() -> None:
    other = get_context("spawn").Process(target=time.sleep, args=(600,))
    other.start()
    with pytest.raises(Preempted):
        list(in_processes(be_asked_to_stop, [(), ()], 2))
    other.join(0.2)
    assert other.is_alive()
    other.kill()
    other.join()


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    began = tmp_path / "began"
    began.mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(began)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    while len(list(began.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.02)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=120)[1] == []
