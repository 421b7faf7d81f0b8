"""All heads of one (encoder, task) on its cached features: trained in one vectorised pass, selected on validation data.

Heads of the same method that share epochs, batch size and the method's own hyper-parameters are stacked; their seeds,
learning rates and weight decays may differ. A head depends on its own seed alone: initial values and batch orders are
the same in every stack, so that it gets what it would get if trained alone, up to rounding.

Test labels are no argument of anything here.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from nml.tuning.heads import BATCH_ORDER, Parameters, forward, generator, initialise
from nml.tuning.optimiser import AdamW

ROWS_AT_ONCE = 8192
"""Samples predicted at once: bounds the memory of the logits of all heads."""

SECONDS_BETWEEN_LINES = 10.0
"""Least time between two lines of progress."""


@dataclass(frozen=True)
class HeadSpec:
    """One head: a method, its seed and its hyper-parameters.

    `learning_rate` (the peak), `weight_decay`, `epochs` and `batch_size` have no meaning for methods that are not
    trained. `parameters` are the method's own; what is left out has the method's default.
    """

    method: str
    seed: int
    learning_rate: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 0
    batch_size: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FittedHeads:
    """The selected heads, in the order of their specifications.

    Attributes
    ----------
    specs : list of HeadSpec
    epochs : int64 [H]
        The epoch whose parameters were kept, from 1; 0 for methods that are not trained.
    validation_accuracies : float64 [H]
        Accuracy of the kept parameters on the validation split, a fraction.
    seconds : float64 [H]
        Wall time of the stack that the head was trained in.
    stacks : list of (indices of the heads, their stacked parameters)
    dimensions : int
        D, the width of the features.
    device : torch.device
        Where the parameters are.
    """

    specs: list[HeadSpec]
    epochs: np.ndarray
    validation_accuracies: np.ndarray
    seconds: np.ndarray
    stacks: list[tuple[list[int], Parameters]]
    dimensions: int
    device: torch.device

    def predict(self, features: np.ndarray, allowed: Sequence[int] | None = None) -> np.ndarray:
        """Return the predicted classes, int64 [H, N], of features float32 [N, D]; among the allowed ones, if given.

        Raises
        ------
        UserError
            If the features are not finite, or not as wide as those that the heads were trained on.
        """
        _check_features("test", features, self.dimensions)
        inputs = _to_device(features, self.device)
        predictions = np.empty((len(self.specs), len(features)), dtype=np.int64)
        for members, parameters in self.stacks:
            predictions[members] = _predict(parameters, inputs, allowed).cpu().numpy()
        return predictions


def fit(
    train_x: np.ndarray,
    train_y: np.ndarray,
    val_x: np.ndarray,
    val_y: np.ndarray,
    num_classes: int,
    specs: Sequence[HeadSpec],
    device: str = "cpu",
    label: str = "tune",
) -> FittedHeads:
    """Train every head and keep its parameters of the epoch with the best validation accuracy (the earliest of equals).

    Parameters
    ----------
    train_x, val_x : float32 [N, D]
        Raw features; they stay on the device for the whole pass.
    train_y, val_y : int64 [N]
        Labels in [0, num_classes).
    specs : sequence of HeadSpec
    device : str
        A torch device. On the CPU the result is deterministic for a fixed number of threads.
    label : str
        What the lines of progress start with.

    Raises
    ------
    UserError
        If the data are empty, non-finite, mislabelled or of two widths, if a hyper-parameter is out of range, or if
        training diverges.
    """
    _check_data("training", train_x, train_y, num_classes, train_x.shape[-1])
    _check_data("validation", val_x, val_y, num_classes, train_x.shape[-1])
    place = torch.device(device)
    data = _Data(*(_to_device(array, place) for array in (train_x, train_y, val_x, val_y)), num_classes)
    stacks = _stacks(specs)
    total = sum(specs[members[0]].epochs for members in stacks if tuning_method(specs[members[0]].method).trained)
    progress = Progress(label, total, unit="epochs", interval=SECONDS_BETWEEN_LINES)
    with _denormals_as_zero():
        fitted = [_fit_stack([specs[index] for index in members], data, progress) for members in stacks]
    return _join(list(specs), stacks, fitted, data)


@contextmanager
def _denormals_as_zero() -> Iterator[None]:
    """Flush denormal numbers to zero: the tiny gradients of well-separated classes make matrix products 10x slower."""
    flushed_before = float(torch.tensor(torch.finfo(torch.float32).tiny) / 2) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


@dataclass(frozen=True)
class _Data:
    train_x: Tensor
    train_y: Tensor
    val_x: Tensor
    val_y: Tensor
    num_classes: int


@dataclass(frozen=True)
class _FittedStack:
    """The kept parameters of H heads, their epochs [H] and validation accuracies [H], and the wall time of all."""

    parameters: Parameters
    epochs: np.ndarray
    validation_accuracies: np.ndarray
    seconds: float


def _stacks(specs: Sequence[HeadSpec]) -> list[list[int]]:
    """Return the indices of the heads that can be trained as one stack."""
    stacks: dict[tuple, list[int]] = {}
    for index, spec in enumerate(specs):
        parameters = registry.complete(spec.method, spec.parameters)
        key = (spec.method, spec.epochs, spec.batch_size, tuple(sorted(parameters.items())))
        stacks.setdefault(key, []).append(index)
    return list(stacks.values())


def _fit_stack(specs: Sequence[HeadSpec], data: _Data, progress: Progress) -> _FittedStack:
    started = time.perf_counter()
    fit_one = _train if tuning_method(specs[0].method).trained else _constant
    parameters, epochs, correct = fit_one(specs, data, progress)
    accuracies = correct.cpu().numpy() / len(data.val_y)
    return _FittedStack(parameters, epochs.cpu().numpy(), accuracies, time.perf_counter() - started)


def _join(specs: list[HeadSpec], stacks: list[list[int]], fitted: list[_FittedStack], data: _Data) -> FittedHeads:
    """Return the results of all stacks in the order of the specifications."""
    order = np.argsort([index for members in stacks for index in members])
    seconds = [np.full(len(members), stack.seconds) for members, stack in zip(stacks, fitted, strict=True)]
    return FittedHeads(
        specs,
        np.concatenate([stack.epochs for stack in fitted])[order],
        np.concatenate([stack.validation_accuracies for stack in fitted])[order],
        np.concatenate(seconds)[order],
        [(members, stack.parameters) for members, stack in zip(stacks, fitted, strict=True)],
        data.train_x.shape[1],
        data.train_x.device,
    )


def _constant(specs: Sequence[HeadSpec], data: _Data, progress: Progress) -> tuple[Parameters, Tensor, Tensor]:
    """Return the heads of a method that is not trained: the same for every seed."""
    parameters = registry.complete(specs[0].method, specs[0].parameters)
    scores = registry.load(specs[0].method).scores(data.train_y, data.num_classes, parameters)
    stacked = {"bias": scores.expand(len(specs), -1)}
    return stacked, torch.zeros(len(specs), dtype=torch.int64), _correct(stacked, data)


def _train(specs: Sequence[HeadSpec], data: _Data, progress: Progress) -> tuple[Parameters, Tensor, Tensor]:
    """Return the best parameters of each head, their epochs [H] and their numbers of correct validation samples [H]."""
    for spec in specs:
        _check_spec(spec)
    method, own = registry.load(specs[0].method), registry.complete(specs[0].method, specs[0].parameters)
    parameters = _initial(specs, own, data)
    optimiser = _optimiser(specs, parameters, len(data.train_x))
    best = {name: value.detach().clone() for name, value in parameters.items()}
    best_correct = torch.full((len(specs),), -1, device=data.val_x.device)
    best_epoch = torch.zeros_like(best_correct)
    for epoch, orders in enumerate(_batch_orders(specs, len(data.train_x)), start=1):
        _train_epoch(parameters, optimiser, orders.to(data.train_x.device), specs, method, own, data)
        correct = _correct(parameters, data)
        better = correct > best_correct
        best_correct = torch.where(better, correct, best_correct)
        best_epoch = torch.where(better, epoch, best_epoch)
        for name, value in parameters.items():
            best[name] = torch.where(better.view(-1, 1, 1), value.detach(), best[name])
        progress.advance()
    return best, best_epoch, best_correct


def _initial(specs: Sequence[HeadSpec], own: Mapping[str, Any], data: _Data) -> Parameters:
    head = tuning_method(specs[0].method).head
    values = initialise(head, data.train_x.shape[1], data.num_classes, own, [spec.seed for spec in specs])
    return {name: value.to(data.train_x.device).requires_grad_() for name, value in values.items()}


def _optimiser(specs: Sequence[HeadSpec], parameters: Parameters, samples: int) -> AdamW:
    some = next(iter(parameters.values()))
    learning_rates = some.new_tensor([spec.learning_rate for spec in specs])
    weight_decays = some.new_tensor([spec.weight_decay for spec in specs])
    steps = specs[0].epochs * -(-samples // specs[0].batch_size)
    return AdamW(list(parameters.values()), learning_rates, weight_decays, steps)


def _batch_orders(specs: Sequence[HeadSpec], samples: int) -> Iterator[Tensor]:
    """Yield the order of the training samples in each epoch, int64 [H, N], from each head's own generator."""
    generators = [generator(spec.seed, BATCH_ORDER) for spec in specs]
    for _ in range(specs[0].epochs):
        yield torch.from_numpy(np.stack([random.permutation(samples) for random in generators]))


def _train_epoch(
    parameters: Parameters,
    optimiser: AdamW,
    orders: Tensor,
    specs: Sequence[HeadSpec],
    method: ModuleType,
    own: Mapping[str, Any],
    data: _Data,
) -> None:
    """Take one step per mini-batch, the last one possibly smaller."""
    values = list(parameters.values())
    try:
        for rows in orders.split(specs[0].batch_size, dim=1):
            features = data.train_x[rows]
            transformed, logits = forward(parameters, features)
            losses = method.loss(Batch(features, transformed, logits, data.train_y[rows]), own)
            optimiser.step(torch.autograd.grad(losses.sum(), values))
    except torch.linalg.LinAlgError as error:
        raise _diverged(specs) from error
    if not bool(torch.isfinite(losses).all()):
        raise _diverged(specs)


@torch.no_grad()
def _predict(parameters: Parameters, features: Tensor, allowed: Sequence[int] | None = None) -> Tensor:
    """Return the predicted classes [H, N] of features [N, D]."""
    count = len(next(iter(parameters.values())))
    scores = (forward(parameters, rows.expand(count, -1, -1))[1] for rows in features.split(ROWS_AT_ONCE))
    if allowed is None:
        return torch.cat([rows.argmax(-1) for rows in scores], dim=1)
    among = torch.as_tensor(allowed, device=features.device)
    return torch.cat([among[rows[..., among].argmax(-1)] for rows in scores], dim=1)


def _correct(parameters: Parameters, data: _Data) -> Tensor:
    """Return the number of validation samples that each head predicts right [H]; counts compare without rounding."""
    return (_predict(parameters, data.val_x) == data.val_y).sum(dim=1)


def _to_device(array: np.ndarray, device: torch.device) -> Tensor:
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.tensor(np.ascontiguousarray(array, dtype=kind), device=device)


def _check_features(split: str, features: np.ndarray, dimensions: int) -> None:
    if features.ndim != 2 or features.shape[1] != dimensions:
        raise UserError(
            f"the {split} split has features of shape {features.shape}; needed are [N, {dimensions}], "
            "as wide as the training features. Extract all splits again with one encoder."
        )
    if not np.isfinite(features).all():
        raise UserError(f"the {split} split has features that are not finite; extract them again")


def _check_data(split: str, features: np.ndarray, labels: np.ndarray, num_classes: int, dimensions: int) -> None:
    _check_features(split, features, dimensions)
    if len(features) == 0 or len(features) != len(labels):
        raise UserError(f"the {split} split has {len(features)} features and {len(labels)} labels; needed is one each")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(
            f"the {split} split has labels from {labels.min()} to {labels.max()}; allowed are 0 to {num_classes - 1}"
        )


def _check_spec(spec: HeadSpec) -> None:
    checks = {
        "learning_rate": (0 < spec.learning_rate < math.inf, "positive and finite"),
        "weight_decay": (0 <= spec.weight_decay < math.inf, "at least 0 and finite"),
        "epochs": (spec.epochs >= 1, "at least 1"),
        "batch_size": (spec.batch_size >= 1, "at least 1"),
    }
    for name, (is_allowed, allowed) in checks.items():
        if not is_allowed:
            raise UserError(f"method '{spec.method}': {name} is {getattr(spec, name)}; it must be {allowed}")


def _diverged(specs: Sequence[HeadSpec]) -> UserError:
    rates = ", ".join(str(rate) for rate in sorted({spec.learning_rate for spec in specs}))
    return UserError(f"method '{specs[0].method}' diverged at learning rate {rates}; lower it or rescale the features")
