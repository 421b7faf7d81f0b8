"""A training that is asked to stop saves its state, and the next one ends with the weights of one left alone."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import IterableDataset

from nml.preemption import EXIT_CODE, SIGNALS, Preempted, deferred, stoppable
from nml.pretraining import engine
from nml.pretraining.data import loaded
from nml.pretraining.engine import train
from nml.pretraining.resuming import checkpoints
from nml.pretraining.run import Run
from tests.interrupted import Moment, exit_code_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(corpus, noise_dirs, recipe, tmp_path) -> Run:
    """A training of two epochs of four steps."""
    made = recipe("supervised", epochs=2)
    return Run("a run", corpus, noise_dirs["symmetric-20"], made, made.architecture, 0, tmp_path / "progress", "code")


@pytest.fixture
def calm(run, tmp_path) -> dict[str, torch.Tensor]:
    """The weights of a training that is left alone."""
    return train(replace(run, progress_dir=tmp_path / "calm"))[0].state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def before(calls: int, name: str, do) -> None:
    """Do something at a call of a function of the engine."""
    real, left = getattr(engine, name), [calls]

    def counted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            do()
        return real(*arguments)

    setattr(engine, name, counted)


def train_until(moment: Moment, run: Run) -> None:
    torch.set_num_threads(1)
    before(3, "train_step", moment)
    train(run)


def test_a_process_ends_after_its_step_with_its_state_saved(run, calm):
    assert exit_code_of(train_until, run, number=signal.SIGUSR1) == EXIT_CODE
    assert [file.name for file in run.progress_dir.iterdir()] == ["00000-00000003.safetensors"]
    assert same(train(run)[0].state_dict(), calm)


@pytest.mark.parametrize(
    ("function", "call", "saved"),
    [("train_step", 4, "00000-00000004"), ("train_step", 8, "00001-00000004"), ("validation_accuracy", 2, "00002-0")],
)
def test_at_the_end_of_an_epoch_no_step_is_lost_or_taken_twice(run, calm, monkeypatch, function, call, saved):
    with monkeypatch.context() as patch, pytest.raises(Preempted), stoppable():
        patch.setattr(engine, function, getattr(engine, function))
        before(call, function, lambda: signal.raise_signal(signal.SIGTERM))
        train(run)
    assert checkpoints(run)[0].stem.startswith(saved)
    resumed, log = train(run)
    assert same(resumed.state_dict(), calm)
    assert [row["epoch"] for row in log] == [1, 2]


class Numbers(IterableDataset):
    def __iter__(self):
        yield from range(50)


def load_through(moment: Moment, folder: Path) -> None:
    numbers = []
    with deferred():
        for number in loaded(Numbers(), workers=1):
            numbers.append(number)
            if number == 2:
                moment()
        (folder / "numbers").write_text(str(len(numbers)))


@pytest.mark.parametrize("number", SIGNALS)
def test_what_loads_the_data_goes_on_until_the_state_is_saved(tmp_path, number):
    assert exit_code_of(load_through, tmp_path, number=number) == EXIT_CODE
    assert (tmp_path / "numbers").read_text() == "50"


# In place of torchrun: it says that it has begun, and what it hears.
STARTER = """
import signal, sys, time
def hear(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    time.sleep(0.5)
    print("saved", flush=True)
    sys.exit(1)
signal.signal(signal.SIGTERM, hear)
print("began", flush=True)
time.sleep(60)
"""
JOB = """
import sys
from nml.preemption import stoppable
from nml.pretraining.launch import _run
with stoppable():
    _run([sys.executable, "-c", sys.argv[1]])
"""


def test_a_job_that_alone_is_asked_passes_it_on_and_waits_for_its_processes():
    arguments = [sys.executable, "-c", JOB, STARTER]
    job = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert job.stdout.readline() == "began\n"
    job.send_signal(signal.SIGUSR1)
    assert job.communicate(timeout=60)[0] == "heard SIGTERM\nsaved\n"
    assert job.returncode == EXIT_CODE
