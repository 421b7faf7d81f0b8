"""A training that is killed again and again ends with the weights of one that was left alone."""

import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore

import torch

from nml.pretraining import engine
from nml.pretraining.engine import train
from nml.pretraining.run import Run

KILLS = 10

# What its processes are forked from has imported PyTorch, once for all of them, and has no threads.
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["nml.pretraining.engine", "open_clip"])


def train_aloud(run: Run, steps: Semaphore) -> None:
    """Train, with a checkpoint every second step; count the steps that begin."""
    torch.set_num_threads(1)
    engine.CHECKPOINT_STEPS = 2
    real = engine.train_step

    def step(*args) -> None:
        steps.release()
        real(*args)

    engine.train_step = step
    train(run)


def kill_at_random(run: Run, rng: random.Random) -> bool:
    """Start the training, kill it a moment after one of its first steps began; return whether it was still at work."""
    steps = FORKS.Semaphore(0)
    process = FORKS.Process(target=train_aloud, args=(run, steps))
    process.start()
    begun = all(steps.acquire(timeout=120) for _ in range(rng.randint(1, 8)))
    time.sleep(rng.uniform(0, 0.03))
    alive = process.is_alive()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return begun and alive


def test_ten_kills_leave_no_trace_in_the_weights(corpus, noise_dirs, recipe, tmp_path):
    made = recipe("contrastive", epochs=20, batch_size=6)
    run = Run("a run", corpus, noise_dirs["swap-20"], made, made.architecture, 0, tmp_path / "progress", "code")
    rng = random.Random(0)
    assert all(kill_at_random(run, rng) for _ in range(KILLS))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    resumed, calm = (train(each)[0].state_dict() for each in (run, replace(run, progress_dir=tmp_path / "calm")))
    torch.set_num_threads(before)
    assert all(torch.equal(tensor, calm[name]) for name, tensor in resumed.items())
