"""Stacked heads of one method, trained by mini-batches together."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nml.errors import UserError
from nml.plugins import tuning_method
from nml.progress import Progress
from nml.tuning import registry
from nml.tuning.batch import Batch
from nml.tuning.data import Data, TrainingSet, room
from nml.tuning.heads import BATCH_ORDER, STATISTICS, VIEW_CHOICE, Parameters, generator, head_of, initialise, linear
from nml.tuning.optimiser import AdamW, FusedAdamW
from nml.tuning.specs import HeadSpec

Scores = Callable[[Parameters, Tensor], Tensor]
"""Gives, from stacked parameters and features [B, D], what a head makes of them [H, B, ...]."""

LARGE = 2**16
"""Numbers of a head's largest tensor above which the optimiser waits for memory; below, a fused one gains little."""

NUMBERS_AT_ONCE = 2**22
"""Largest number of numbers in a stacked tensor on the CPU.

The C library maps larger blocks anew at each allocation, and clearing their pages takes as long as the gradient that is
put there. Stacking gains nothing for tensors of this size.
"""

COPIES = 16
"""How many times a head's parameters and layers are held at most, counted in float32, while it is trained on a GPU.

Of the parameters there are the best, the gradient, two moments and what a step computes; of the layers the gradients
and what the losses keep, in part in float64.
"""


@dataclass(frozen=True)
class TrainedStack:
    """The best parameters of H heads, the epochs [H] that they are of, and the right validation predictions [H].

    `scores` and `transformed` apply them to features. A head that diverged has -1 right predictions.
    """

    scores: Scores
    transformed: Scores
    parameters: Parameters
    epochs: Tensor
    correct: Tensor


def heads_at_once(spec: HeadSpec, data: Data) -> int:
    """Return how many heads like this one to stack."""
    declared, own = tuning_method(spec.method), registry.complete(spec.method, spec.parameters)
    head = head_of(declared, registry.load(spec.method))
    one = initialise(head, data.train.dimensions, data.num_classes, [own], [spec.seed])
    if data.device.type == "cpu":
        return max(1, NUMBERS_AT_ONCE // max(value.numel() for value in one.values()))
    rows = declared.views * min(spec.batch_size, len(data.train_y))
    return max(1, int(room(data.device) // _bytes_of_head(one, rows, data.train.dimensions)))


def _bytes_of_head(one: Parameters, rows: int, dimensions: int) -> int:
    """Return about what a head takes in training, with a batch of so many rows; rather too much."""
    widths = dimensions + sum(value.shape[-1] for value in one.values())
    return 4 * (COPIES * sum(value.numel() for value in one.values()) + COPIES * rows * widths)


def train(
    specs: Sequence[HeadSpec], data: Data, progress: Progress, validate: Callable[[Scores, Parameters], Tensor]
) -> TrainedStack:
    """Train one stack of heads, and keep each one's parameters of its best epoch, the first of equals.

    Parameters
    ----------
    specs : sequence of HeadSpec
        Heads that `specs.stacks_of` puts together.
    data : Data
    progress : Progress
        Advanced by one after every epoch.
    validate : callable
        Gives the numbers of right predictions [H] of stacked parameters.

    Raises
    ------
    UserError
        If a hyper-parameter is out of range.
    """
    for spec in specs:
        _check(spec)
    run = _run(specs, data)
    parameters = run.parameters
    best = {name: value.detach().clone() for name, value in parameters.items()}
    best_correct = torch.full((len(specs),), -1, device=data.device)
    best_epoch, lost = torch.zeros_like(best_correct), torch.zeros_like(best_correct, dtype=torch.bool)
    for epoch, (orders, views) in enumerate(_plans(specs, run), start=1):
        lost |= ~_train_epoch(run, orders, views)
        correct = validate(run.scores, parameters)
        better = correct > best_correct
        best_correct = torch.where(better, correct, best_correct)
        best_epoch = torch.where(better, epoch, best_epoch)
        for name, value in parameters.items():
            best[name] = torch.where(better.view(-1, *[1] * (value.dim() - 1)), value.detach(), best[name])
        progress.advance()
    return TrainedStack(
        run.scores, partial(_transformed, run.head), best, best_epoch, torch.where(lost, -1, best_correct)
    )


@dataclass(frozen=True)
class _Run:
    """What stays the same over the epochs of a stack."""

    method: ModuleType
    head: ModuleType
    own: Mapping[str, Any]
    views: int
    parameters: Parameters
    trained: list[Tensor]
    optimiser: AdamW | FusedAdamW
    samples: TrainingSet
    batch_size: int

    @property
    def scores(self) -> Scores:
        return partial(_scores, self.head)


def _run(specs: Sequence[HeadSpec], data: Data) -> _Run:
    first, declared = specs[0], tuning_method(specs[0].method)
    method = registry.load(first.method)
    head, samples = head_of(declared, method), data.training_set(first.fraction, first.views)
    completed = [registry.complete(spec.method, spec.parameters) for spec in specs]
    seeds = [spec.seed for spec in specs]
    values = initialise(head, data.train.dimensions, data.num_classes, completed, seeds)
    parameters = {name: value.to(data.device) for name, value in values.items()}
    trained = [value.requires_grad_() for name, value in parameters.items() if not name.startswith(STATISTICS)]
    per_head = {key: trained[0].new_tensor([own[key] for own in completed]) for key in declared.per_head}
    optimiser = _optimiser(specs, trained, len(samples))
    own = completed[0] | per_head
    return _Run(method, head, own, declared.views, parameters, trained, optimiser, samples, first.batch_size)


def _optimiser(specs: Sequence[HeadSpec], trained: list[Tensor], samples: int) -> AdamW | FusedAdamW:
    kind = FusedAdamW if max(value[0].numel() for value in trained) > LARGE else AdamW
    learning_rates = trained[0].new_tensor([spec.learning_rate for spec in specs])
    weight_decays = trained[0].new_tensor([spec.weight_decay for spec in specs])
    return kind(trained, learning_rates, weight_decays, specs[0].epochs * -(-samples // specs[0].batch_size))


def _plans(specs: Sequence[HeadSpec], run: _Run) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, for each epoch, from each head's own generators, the order of its n samples, int64 [H, n], and the views.

    The views, int64 [run.views, H, n], are of the samples in the order of the training set. A loss that wants two gets
    two different ones where there are several.
    """
    count, available = len(run.samples), run.samples.views
    orders = [generator(spec.seed, BATCH_ORDER) for spec in specs]
    choices = [generator(spec.seed, VIEW_CHOICE) for spec in specs]
    for _ in range(specs[0].epochs):
        order = np.stack([random.permutation(count) for random in orders])
        views = np.zeros((run.views, len(specs), count), dtype=np.int64)
        if available > 1:
            views[0] = [random.integers(available, size=count) for random in choices]
            for row in range(1, run.views):
                steps = [random.integers(1, available, size=count) for random in choices]
                views[row] = (views[0] + steps) % available
        yield torch.from_numpy(order), torch.from_numpy(views)


def _train_epoch(run: _Run, orders: Tensor, views: Tensor) -> Tensor:
    """Take one step per mini-batch, the last one possibly smaller; return which heads are still finite [H]."""
    gradients_of = _closed_gradients if hasattr(run.method, "logit_gradient") else _gradients
    for places, labels in _batches(run, orders, views):
        judged, gradients = gradients_of(run, run.samples.rows.gather(places), labels)
        run.optimiser.step(gradients)
    return torch.isfinite(judged.detach().flatten(1)).all(dim=1)


def _batches(run: _Run, orders: Tensor, views: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, for each mini-batch of B samples, their features' rows [H, views B], and their labels on the device."""
    samples = run.samples
    places = views.gather(2, orders.expand_as(views)) * samples.split_size + samples.places[orders]
    labels = samples.labels[orders.to(samples.labels.device)]
    for chosen, own in zip(places.split(run.batch_size, dim=2), labels.split(run.batch_size, dim=1), strict=True):
        yield chosen.transpose(0, 1).flatten(1), own.repeat(1, len(views))


def _gradients(run: _Run, features: Tensor, labels: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the losses [H, 1], and their gradients in the trained tensors."""
    transformed, logits = run.head.forward(run.parameters, features, training=True)
    losses = run.method.loss(Batch(features, transformed, logits, labels), run.own)
    return losses.unsqueeze(1), torch.autograd.grad(losses.sum(), run.trained)


@torch.no_grad()
def _closed_gradients(run: _Run, features: Tensor, labels: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the gradients in the logits [H, B, C] and in the trained tensors of linear heads.

    Without autograd, which takes a quarter of a small head's step.
    """
    transformed, logits = run.head.forward(run.parameters, features, training=True)
    errors = run.method.logit_gradient(Batch(features, transformed, logits, labels), run.own)
    return errors, linear.gradients(features, errors)


def _scores(head: ModuleType, parameters: Parameters, features: Tensor) -> Tensor:
    return _predicted(head, parameters, features)[1]


def _transformed(head: ModuleType, parameters: Parameters, features: Tensor) -> Tensor:
    return _predicted(head, parameters, features)[0]


def _predicted(head: ModuleType, parameters: Parameters, features: Tensor) -> tuple[Tensor, Tensor]:
    count = len(next(iter(parameters.values())))
    return head.forward(parameters, features.expand(count, -1, -1), training=False)


def _check(spec: HeadSpec) -> None:
    checks = {
        "learning_rate": (0 < spec.learning_rate < math.inf, "positive and finite"),
        "weight_decay": (0 <= spec.weight_decay < math.inf, "at least 0 and finite"),
        "epochs": (spec.epochs >= 1, "at least 1"),
        "batch_size": (spec.batch_size >= 1, "at least 1"),
    }
    for name, (is_allowed, allowed) in checks.items():
        if not is_allowed:
            raise UserError(f"method '{spec.method}': {name} is {getattr(spec, name)}; it must be {allowed}")
