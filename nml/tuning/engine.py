"""All heads of one (encoder, task) on its cached features: fitted in one vectorised pass, selected on validation data.

Heads are stacked that share cell, method, fraction of the data, views, epochs, batch size and those hyper-parameters of
the method that its loss cannot take per head; their seeds, learning rates, weight decays and the others may differ. A
head depends on its own values alone: initial values and batch orders are the same in every stack, so that it gets what
it would get if trained alone, up to rounding.

Test labels are no argument of anything here.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nml.errors import UserError
from nml.plugins import tuning_method
from nml.progress import Progress
from nml.tuning import registry
from nml.tuning.data import Data, Rows, check_features, prepare
from nml.tuning.heads import Parameters
from nml.tuning.specs import HeadSpec, stacks_of
from nml.tuning.training import heads_at_once, train

SECONDS_BETWEEN_LINES = 10.0
"""Least time between two lines of progress."""

NUMBERS_AT_ONCE = 2**26
"""How many numbers the features of all stacked heads may have while they predict: 256 MiB."""


@dataclass(frozen=True)
class Stack:
    """Fitted heads that predict together.

    Attributes
    ----------
    members : list of int
        The heads' places among all specifications.
    scores : callable
        Gives the scores [K, B, C] of features [B, D], from `parameters`.
    parameters : dict of Tensor [K, ...]
    rows : list of int
        For each member, which of the K it is: heads that do not depend on the seed are fitted once.
    transformed : callable, optional
        Gives the transformed features [K, B, W] as `scores` gives the scores; None for methods that are not trained.
    """

    members: list[int]
    scores: Callable[[Parameters, Tensor], Tensor]
    parameters: Parameters
    rows: list[int]
    transformed: Callable[[Parameters, Tensor], Tensor] | None = None

    @torch.no_grad()
    def predict(self, features: Rows, places: Sequence[int], allowed: Sequence[int] | None = None) -> Tensor:
        """Return the predicted classes [len(places), N], among the allowed ones, of the members at these places."""
        needed = sorted({self.rows[place] for place in places})
        parameters = self.parameters
        if len(needed) < len(next(iter(parameters.values()))):
            parameters = {name: value[needed] for name, value in parameters.items()}
        size = rows_at_once(len(needed), self.parameters, features.dimensions)
        scores = (self.scores(parameters, chunk) for chunk in features.chunks(size))
        found = torch.cat([_largest(chunk, allowed) for chunk in scores], dim=1)
        return found[[needed.index(self.rows[place]) for place in places]]

    @torch.no_grad()
    def transform(self, features: Rows, place: int) -> np.ndarray:
        """Return the transformed features, float32 [N, W], of the member at this place, of a trained method."""
        parameters = {name: value[[self.rows[place]]] for name, value in self.parameters.items()}
        size = rows_at_once(1, parameters, features.dimensions)
        return torch.cat([self.transformed(parameters, chunk)[0].cpu() for chunk in features.chunks(size)]).numpy()


def _largest(scores: Tensor, allowed: Sequence[int] | None) -> Tensor:
    """Return the class of the largest score [K, B] of scores [K, B, C], among the allowed ones."""
    if allowed is None:
        return scores.argmax(-1)
    among = torch.as_tensor(allowed, device=scores.device)
    return among[scores[..., among].argmax(-1)]


@dataclass(frozen=True)
class FittedHeads:
    """The heads with their kept parameters, in the order of their specifications.

    Attributes
    ----------
    specs : list of HeadSpec
    epochs : int64 [H]
        The epoch whose parameters were kept, from 1; 0 for methods that are not trained.
    correct : int64 [H]
        The validation samples that the kept parameters predict right; -1 for heads that diverged.
    validation_samples : int
    seconds : float64 [H]
        The head's share of the wall time of the stack that it was fitted in, so that they sum to that of all.
    stacks : list of Stack
    dimensions : int
        D, the width of the features.
    device : torch.device
        Where the parameters are.
    """

    specs: list[HeadSpec]
    epochs: np.ndarray
    correct: np.ndarray
    validation_samples: int
    seconds: np.ndarray
    stacks: list[Stack]
    dimensions: int
    device: torch.device

    @property
    def validation_accuracies(self) -> np.ndarray:
        """The accuracies on the validation split, float64 [H], fractions; NaN for heads that diverged."""
        return np.where(self.correct < 0, np.nan, self.correct / self.validation_samples)

    def predict(
        self, features: np.ndarray, heads: Sequence[int] | None = None, allowed: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return the predicted classes, int64 [H, N], of features float32 [N, D].

        Parameters
        ----------
        features : float32 [N, D]
        heads : sequence of int
            Which heads predict, H of them, in this order; all of them if not given.
        allowed : sequence of int
            The classes that a prediction is taken among; all of them if not given.

        Raises
        ------
        UserError
            If the features are not finite, or not as wide as those that the heads were trained on.
        """
        check_features("test", features, self.dimensions)
        wanted = list(range(len(self.specs))) if heads is None else list(heads)
        inputs, predictions = Rows(features, self.device), np.empty((len(wanted), len(features)), dtype=np.int64)
        for stack in self.stacks:
            own = [row for row, head in enumerate(wanted) if head in stack.members]
            if own:
                places = [stack.members.index(wanted[row]) for row in own]
                predictions[own] = stack.predict(inputs, places, allowed).cpu().numpy()
        return predictions

    def transform(self, features: np.ndarray, head: int) -> np.ndarray:
        """Return the transformed features Z, float32 [N, W], that the classifier of a trained head sees.

        Parameters
        ----------
        features : float32 [N, D]
        head : int
            Which head, of a method that is trained.

        Raises
        ------
        UserError
            As `predict`.
        """
        check_features("test", features, self.dimensions)
        stack = next(stack for stack in self.stacks if head in stack.members)
        return stack.transform(Rows(features, self.device), stack.members.index(head))


def fit(
    train_x: np.ndarray,
    train_y: np.ndarray,
    val_x: np.ndarray,
    val_y: np.ndarray,
    num_classes: int,
    specs: Sequence[HeadSpec],
    device: str = "cpu",
    label: str = "tune",
    subsets: Mapping[int, np.ndarray] | None = None,
    may_diverge: bool = False,
) -> FittedHeads:
    """Fit every head; trained ones keep their parameters of the epoch that is best on the validation data, the first.

    Parameters
    ----------
    train_x : float32 [N, D], or [V, N, D] with V views of each sample, of which the first is not augmented
        Raw features. They stay on the device for the whole pass where they fit, else on the host.
    val_x : float32 [M, D]
    train_y, val_y : int64 [N], [M]
        Labels in [0, num_classes).
    specs : sequence of HeadSpec
    device : str
        A torch device. On the CPU the result is deterministic for a fixed number of threads.
    label : str
        What the lines of progress start with.
    subsets : mapping of int to int64 [n]
        For each fraction in percent that a specification asks for, 100 apart, the samples that it is.
    may_diverge : bool
        Whether a head may diverge, as a candidate of a search may; its validation accuracy is NaN then.

    Raises
    ------
    UserError
        If the data are empty, non-finite, mislabelled or of two widths, if a hyper-parameter is out of range, or if
        training diverges and may not.
    """
    data = prepare(train_x, train_y, val_x, val_y, num_classes, subsets or {}, torch.device(device))
    stacks = [piece for members in stacks_of(specs) for piece in _pieces(members, specs, data)]
    total = sum(specs[members[0]].epochs for members in stacks if tuning_method(specs[members[0]].method).trained)
    progress = Progress(label, total, unit="epochs", interval=SECONDS_BETWEEN_LINES)
    with _denormals_as_zero():
        fitted = [_fit_stack(members, [specs[index] for index in members], data, progress) for members in stacks]
    heads = _join(list(specs), fitted, data)
    if not may_diverge and (problem := divergence(heads, range(len(specs)))):
        raise UserError(problem)
    return heads


def _pieces(members: list[int], specs: Sequence[HeadSpec], data: Data) -> list[list[int]]:
    """Return the heads of a stack, in pieces that are no larger than is good."""
    first = specs[members[0]]
    size = heads_at_once(first, data) if tuning_method(first.method).trained else len(members)
    return [members[start : start + size] for start in range(0, len(members), min(size, len(members)))]


def divergence(heads: FittedHeads, among: Iterable[int]) -> str:
    """Say which of these heads diverged, by their cells, at which learning rates; nothing if none did."""
    lost: dict[str, set[float]] = {}
    for spec in (heads.specs[index] for index in among if heads.correct[index] < 0):
        lost.setdefault(spec.cell or spec.method, set()).add(spec.learning_rate)
    said = [
        f"method '{name}' diverged at learning rate {', '.join(map(str, sorted(rates)))}"
        for name, rates in lost.items()
    ]
    return f"{'; '.join(said)}; lower it or rescale the features" if said else ""


@contextmanager
def _denormals_as_zero() -> Iterator[None]:
    """Flush denormal numbers to zero: the tiny gradients of well-separated classes make matrix products 10x slower."""
    flushed_before = float(torch.tensor(torch.finfo(torch.float32).tiny) / 2) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


def rows_at_once(heads: int, parameters: Parameters, dimensions: int) -> int:
    """Return how many samples H stacked heads predict at once, so that their widest layer stays in bounds."""
    widest = max(dimensions, *(value.shape[-1] for value in parameters.values()))
    return max(1, min(8192, NUMBERS_AT_ONCE // (heads * widest)))


@dataclass(frozen=True)
class _FittedStack:
    """A stack, the epochs [H] and right validation predictions [H] of its members, and the wall time of all."""

    stack: Stack
    epochs: np.ndarray
    correct: np.ndarray
    seconds: float


def _fit_stack(members: list[int], specs: Sequence[HeadSpec], data: Data, progress: Progress) -> _FittedStack:
    started = time.perf_counter()
    fit_members = _train if tuning_method(specs[0].method).trained else _solve
    stack, epochs, correct = fit_members(members, specs, data, progress)
    return _FittedStack(stack, epochs, correct, time.perf_counter() - started)


def _train(
    members: list[int], specs: Sequence[HeadSpec], data: Data, progress: Progress
) -> tuple[Stack, np.ndarray, np.ndarray]:
    trained = train(specs, data, progress, lambda scores, parameters: _correct(scores, parameters, data))
    stack = Stack(members, trained.scores, trained.parameters, list(range(len(specs))), trained.transformed)
    return stack, trained.epochs.cpu().numpy(), trained.correct.cpu().numpy()


def _solve(
    members: list[int], specs: Sequence[HeadSpec], data: Data, progress: Progress
) -> tuple[Stack, np.ndarray, np.ndarray]:
    """Fit the heads of a method that is not trained: the same for every seed."""
    candidates = [registry.complete(spec.method, spec.parameters) for spec in specs]
    distinct = [one for row, one in enumerate(candidates) if one not in candidates[:row]]
    scores, parameters = registry.load(specs[0].method).fit(data.training_set(specs[0].fraction), distinct)
    rows = [distinct.index(one) for one in candidates]
    correct = _correct(scores, parameters, data).cpu().numpy()
    return Stack(members, scores, parameters, rows), np.zeros(len(specs), np.int64), correct[rows]


@torch.no_grad()
def _correct(scores: Callable[[Parameters, Tensor], Tensor], parameters: Parameters, data: Data) -> Tensor:
    """Return the number of validation samples that each head predicts right [H]; counts compare without rounding."""
    heads = list(range(len(next(iter(parameters.values())))))
    return (Stack(heads, scores, parameters, heads).predict(data.val, heads) == data.val_y).sum(dim=1)


def _join(specs: list[HeadSpec], fitted: list[_FittedStack], data: Data) -> FittedHeads:
    """Return the results of all stacks in the order of the specifications."""
    order = np.argsort([index for one in fitted for index in one.stack.members])
    seconds = [np.full(len(one.stack.members), one.seconds / len(one.stack.members)) for one in fitted]
    return FittedHeads(
        specs,
        np.concatenate([one.epochs for one in fitted])[order],
        np.concatenate([one.correct for one in fitted])[order],
        len(data.val_y),
        np.concatenate(seconds)[order],
        [one.stack for one in fitted],
        data.train.dimensions,
        data.device,
    )
