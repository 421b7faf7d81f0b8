"""One of two real processes is asked to stop: both stop at the same step, with one checkpoint."""

import os
import signal
import socket
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue

import torch

from nml.preemption import Preempted, stoppable
from nml.pretraining import engine
from nml.pretraining.engine import train
from nml.pretraining.run import Run
from nml.pretraining.world import joined

# The last one is asked in the middle of the first epoch, then at its end. They stop after this step, of four.
ASKED_IN = {"middle": 2, "end": 4}
STOP_AFTER = {"middle": 3, "end": 4}


def take_part(rank: int, port: int, run: Run, stopped: Queue) -> None:
    """Train until this process, if it is the last one, asks itself to stop; say after which step it did."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    real_step, real_save, saved = engine.train_step, engine.save, []
    with joined() as world:
        for name, step in ASKED_IN.items():

            def train_step(run, model, state, *others, asked_in=step):
                real_step(run, model, state, *others)
                if rank == 1 and state.step + 1 == asked_in:
                    signal.raise_signal(signal.SIGTERM)

            def save(run, state, world):
                saved.append((state.epoch, state.step))
                real_save(run, state, world)

            engine.train_step, engine.save = train_step, save
            try:
                with stoppable():
                    train(replace(run, progress_dir=run.progress_dir / name), world)
            except Preempted:
                stopped.put((name, rank, saved[-1]))


def test_one_that_is_asked_stops_both_after_the_same_step(run):
    made = run(epochs=2, batch_size=16)
    context = get_context("spawn")
    stopped = context.Queue()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [context.Process(target=take_part, args=(rank, port, made, stopped)) for rank in (0, 1)]
    for process in processes:
        process.start()
    answers = sorted(stopped.get(timeout=240) for _ in range(4))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert answers == sorted((name, rank, (0, step)) for name, step in STOP_AFTER.items() for rank in (0, 1))
    for name, step in STOP_AFTER.items():
        assert [file.name for file in (made.progress_dir / name).glob("0*")] == [f"00000-{step:08}.safetensors"]
