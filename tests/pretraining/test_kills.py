"""A training that is killed again and again ends with the weights of one that was left alone."""

import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing import get_context

import torch

from nml.pretraining import engine
from nml.pretraining.engine import train
from nml.pretraining.run import Run

KILLS = 10


def train_aloud(run: Run, started) -> None:
    """Train, with a checkpoint every second step; say when the first step is taken."""
    torch.set_num_threads(1)
    engine.CHECKPOINT_STEPS = 2
    real = engine.train_step

    def step(*args) -> None:
        started.set()
        real(*args)

    engine.train_step = step
    train(run)


def kill_at_random(run: Run, rng: random.Random) -> bool:
    """Start the training, kill it within its first third of a second; return whether it was still at work."""
    context = get_context("spawn")
    started = context.Event()
    process = context.Process(target=train_aloud, args=(run, started))
    process.start()
    while process.is_alive() and not started.wait(0.05):
        pass
    time.sleep(rng.uniform(0, 0.3))
    alive = process.is_alive()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return alive


def test_ten_kills_leave_no_trace_in_the_weights(corpus, noise_dirs, recipe, tmp_path):
    made = recipe("contrastive", epochs=40, batch_size=6)
    run = Run("a run", corpus, noise_dirs["swap-20"], made, made.architecture, 0, tmp_path / "progress", "code")
    rng = random.Random(0)
    assert all(kill_at_random(run, rng) for _ in range(KILLS))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    resumed, calm = (train(each)[0].state_dict() for each in (run, replace(run, progress_dir=tmp_path / "calm")))
    torch.set_num_threads(before)
    assert all(torch.equal(tensor, calm[name]) for name, tensor in resumed.items())
