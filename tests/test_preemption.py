"""A job that is asked to stop tidies up, says so and ends with an exit code of its own; what must be saved, is."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from nml import preemption
from nml.artifacts import atomic_path
from nml.preemption import (
    EXIT_CODE,
    SIGNALS,
    Preempted,
    asked,
    deferred,
    ignore_signals,
    kept_from_children,
    stoppable,
    undisturbed,
)
from nml.processes import in_processes
from tests.interrupted import Moment, exit_code_of


@pytest.mark.parametrize("number", SIGNALS)
def test_either_signal_ends_the_work_where_it_is(number: int) -> None:
    with pytest.raises(Preempted), stoppable():
        signal.raise_signal(number)
        pytest.fail("it went on")


def test_afterwards_the_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_job_that_is_done_is_not_undone_by_a_signal() -> None:
    with stoppable():
        ignore_signals()
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


ORPHAN = """
import os, signal, subprocess, sys, time
from nml.preemption import Preempted, ask_when_parent_ends, stoppable
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, str(os.getpid())], stdout=subprocess.PIPE)
    child.stdout.readline()
    os.kill(os.getpid(), signal.SIGKILL)
try:
    with stoppable():
        ask_when_parent_ends(int(sys.argv[1]))
        with open("pid", "w") as file:
            file.write(str(os.getpid()))
        print("at work", flush=True)
        time.sleep(60)
except Preempted:
    open("asked", "w").close()
"""


@pytest.mark.parametrize("arguments", [(), ("1000000000",)])
def test_a_process_is_asked_when_its_parent_is_killed_or_already_gone(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "orphan.py").write_text(ORPHAN)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "orphan.py", *arguments], cwd=tmp_path, env=environment, check=False, timeout=60)
    _wait_for(tmp_path / "asked")


def test_a_process_without_its_parent_dies_and_saves_nothing(tmp_path: Path) -> None:
    (tmp_path / "orphan.py").write_text(ORPHAN.replace("ask_when_parent_ends", "die_with_parent"))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "orphan.py"], cwd=tmp_path, env=environment, check=False, timeout=60)
    orphan = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not (tmp_path / "asked").exists()


def test_what_mends_errors_does_not_take_it_for_one() -> None:
    def careless() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("it was swallowed")

    with pytest.raises(Preempted), stoppable():
        careless()


def test_a_second_signal_does_not_disturb_the_tidying_up() -> None:
    tidied = []
    with pytest.raises(Preempted), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied.append(True)
    assert tidied


class Swallows:
    """Loses what is raised while it goes, as destructors do."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_was_lost_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Preempted), stoppable():
        Swallows()
        assert asked()
        with undisturbed():
            monkeypatch.setattr(preemption, "_TIDYING_SECONDS", 0)
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it is deaf")


def test_deferred_work_stops_at_its_own_point_or_at_its_end() -> None:
    steps = []
    with pytest.raises(Preempted), stoppable():
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            assert asked()
            steps.append("saved")
        steps.append("went on")
    assert steps == ["saved"]


def test_an_error_in_deferred_work_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), stoppable(), deferred():
        signal.raise_signal(signal.SIGTERM)
        _ = 1 / 0


def test_what_is_soon_done_is_done() -> None:
    with stoppable(), undisturbed():
        signal.raise_signal(signal.SIGTERM)
        assert asked()
    assert not asked(), "the next job begins anew"


def hold(moment: Moment, file: Path) -> None:
    with atomic_path(file) as temporary:
        temporary.write_text("half")
        moment()


def test_a_process_ends_with_its_own_code_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    assert exit_code_of(hold, tmp_path / "file") == EXIT_CODE == 75
    assert not list(tmp_path.iterdir())


JOB = """
import logging, sys, time
from types import SimpleNamespace
from nml.jobs import job
with job(SimpleNamespace(rule="tune", log=["a.log"], resources={})):
    print("at work", flush=True)
    time.sleep(60)
"""


def test_the_log_of_a_job_says_it_without_a_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", JOB], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"at work\n"
    process.terminate()
    _, shown = process.communicate(timeout=30)
    said = "tune: asked to stop. What is done is kept; the next run goes on from there.\n"
    assert (process.returncode, shown.decode(), (tmp_path / "a.log").read_text()) == (EXIT_CODE, said, said)


def job_of_many(folder: Path, number: int) -> None:
    with atomic_path(folder / str(number)) as temporary:
        temporary.write_text("half")
        (folder / f"{number}.began").touch()
        time.sleep(0 if number == 0 else 60)


def spread(moment: Moment, folder: Path) -> None:
    # The first job is done, two are under way, and none is left for a worker that is asked to stop.
    jobs = in_processes(job_of_many, [(folder, number) for number in range(4)], workers=2)
    next(jobs)
    with ThreadPoolExecutor(1) as watch:
        watch.submit(lambda: (_wait_for(folder / "1.began", folder / "2.began"), moment.reached.set()))
        next(jobs)


def _wait_for(*files: Path) -> None:
    while not all(file.exists() for file in files):
        time.sleep(0.01)


def test_worker_processes_stop_in_the_middle_of_their_jobs(tmp_path: Path) -> None:
    started = time.monotonic()
    assert exit_code_of(spread, tmp_path) == EXIT_CODE
    assert time.monotonic() - started < 50, "the jobs sleep for a minute"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0", "0.began", "1.began", "2.began"]


def spread_and_use(moment: Moment, folder: Path) -> None:
    """Stop in the block that uses what the processes give, while they do their next jobs."""
    with closing(in_processes(job_of_many, [(folder, number) for number in range(3)], workers=2)) as jobs:
        for _ in jobs:
            _wait_for(folder / "1.began", folder / "2.began")
            moment.reached.set()
            time.sleep(60)


def test_worker_processes_stop_when_the_signal_meets_who_uses_their_results(tmp_path: Path) -> None:
    started = time.monotonic()
    assert exit_code_of(spread_and_use, tmp_path, group=False) == EXIT_CODE
    assert time.monotonic() - started < 50, "the jobs sleep for a minute"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0", "0.began", "1.began", "2.began"]


HELPER = "import sys; print('ready', flush=True); sys.stdin.read(1); print('done', flush=True)"


def test_helpers_do_not_hear_the_signals() -> None:
    with kept_from_children():
        arguments = [sys.executable, "-c", HELPER]
        helper = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert helper.stdout.readline() == b"ready\n"
    for number in SIGNALS:
        helper.send_signal(number)
    assert helper.communicate(b"x", timeout=30)[0] == b"done\n"
    with pytest.raises(Preempted), stoppable():
        signal.raise_signal(signal.SIGTERM)
