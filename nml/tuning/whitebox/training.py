"""The training of one network, from a state to its end."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nml.preemption import Preempted, asked, deferred
from nml.progress import Progress
from nml.seeds import derive_seed
from nml.tuning.heads import BATCH_ORDER, generator
from nml.tuning.whitebox.finite import check_step, check_weights
from nml.tuning.whitebox.gradients import backward
from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.predict import predict
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.states import State, save_state
from nml.tuning.whitebox.views import Arrays

CHECKPOINT_STEPS = 500
"""The state is saved after each epoch, and in long ones every so many steps."""


def make_optimizer(run: Tuning, network: Network) -> torch.optim.AdamW:
    """Return AdamW on all trained parameters, as the released code has it: with one weight decay for all."""
    rates = {"encoder": run.learning_rate * run.parameters["encoder_rate"], "head": run.learning_rate}
    groups = [
        {"params": parameters, "lr": rates[part], "peak": rates[part]}
        for part, parameters in (("encoder", network.trained), ("head", network.head))
        if parameters
    ]
    return torch.optim.AdamW(groups, weight_decay=run.weight_decay, fused=True)


def train(run: Tuning, seed: int, state: State, file: Path) -> None:
    """Train to the end; keep the state in a file on the way.

    Raises
    ------
    UserError
        If a loss, a gradient or a weight is not finite.
    Preempted
        If the process was asked to stop, after its state is saved: after a step, or after the validation.
    """
    total = run.epochs * run.steps_per_epoch
    progress = Progress(run.label, total, done=min(state.epoch * run.steps_per_epoch + state.step, total - 1))
    with deferred():
        while state.epoch < run.epochs:
            _train_epoch(run, seed, state, file, progress)
            check_weights(run, state, file)
            _finish_epoch(run, state)
            save_state(file, state, run.describe(seed))
            if asked():
                raise Preempted


def _train_epoch(run: Tuning, seed: int, state: State, file: Path, progress: Progress) -> None:
    """Train to the end of the epoch that is under way; the last batch may be smaller."""
    with closing(_batches(run, seed, state.epoch, state.step)) as batches:
        for step in range(state.step, run.steps_per_epoch):
            started = time.perf_counter()
            _set_learning_rates(run, state.optimizer, state.epoch * run.steps_per_epoch + step)
            labels, drawn, draws = next(batches)
            images = run.views.training_input(drawn, draws)
            state.loss += _train_step(run, state, labels, images, file) * len(labels)
            state.step = step + 1
            state.seconds += time.perf_counter() - started
            progress.advance()
            is_last = asked()
            if is_last or (state.step % CHECKPOINT_STEPS == 0 and state.step < run.steps_per_epoch):
                check_weights(run, state, file)
                save_state(file, state, run.describe(seed))
            if is_last:
                raise Preempted


def _batches(run: Tuning, seed: int, epoch: int, first: int) -> Iterator[tuple[np.ndarray, Arrays, int]]:
    """Yield labels, images as the host draws them, and the seed of their changes; the host is one batch ahead."""
    train = run.images.train
    order = _order(seed, epoch, len(train.labels))

    def draw(step: int) -> tuple[np.ndarray, Arrays, int]:
        rows = order[step * run.batch_size :][: run.batch_size]
        draws = derive_seed(seed, "images", epoch, step)
        return train.labels[rows], train.drawn(rows, run.views, draws), draws

    with ThreadPoolExecutor(1) as ahead:
        drawn = ahead.submit(draw, first)
        for step in range(first + 1, run.steps_per_epoch):
            batch, drawn = drawn.result(), ahead.submit(draw, step)
            yield batch
        yield drawn.result()


def _order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Return the samples' order in an epoch, counted from 0: that of a linear probe of this seed."""
    random = generator(seed, BATCH_ORDER)
    for _ in range(epoch):
        random.permutation(samples)
    return random.permutation(samples)


def _set_learning_rates(run: Tuning, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Follow a cosine to zero, without warm-up."""
    share = 0.5 * (1 + math.cos(math.pi * step / (run.epochs * run.steps_per_epoch)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _train_step(run: Tuning, state: State, labels: np.ndarray, images: Tensor, file: Path) -> float:
    """Take one optimiser step; return the loss. `file` is where the state is kept."""
    network = state.network
    state.optimizer.zero_grad(set_to_none=True)
    loss = backward(run, network, images, torch.from_numpy(labels).to(network.device))
    check_step(run, state, loss, file)
    state.optimizer.step()
    return loss


def _finish_epoch(run: Tuning, state: State) -> None:
    """Validate, keep the network if it is the best so far (the earliest of equals), and log."""
    started = time.perf_counter()
    labels = run.images.validation.labels
    predictions, _ = predict(run, state.network, run.images.validation)
    correct = int((predictions == labels).sum())
    if correct > state.best_correct:
        state.best = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
        state.best_correct, state.best_epoch = correct, state.epoch + 1
    state.log.append(
        {
            "epoch": state.epoch + 1,
            "loss": state.loss / len(run.images.train.labels),
            "validation_accuracy": correct / len(labels),
            "seconds": state.seconds + time.perf_counter() - started,
        }
    )
    state.epoch, state.step, state.loss, state.seconds = state.epoch + 1, 0, 0.0, 0.0
