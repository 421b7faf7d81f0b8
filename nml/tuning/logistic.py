"""Multinomial logistic regression with an L2 penalty, to convergence, for many penalties along one path.

The objective of penalty weight l is f(W, b) = 1/n sum_i CE(x_i W + b, y_i) + l/2 ||W||^2; the intercepts b are free.
It is found by L-BFGS (Nocedal and Wright, algorithm 7.4), whose iterations are two matrix products each; what is done
here is to need few of them:

- The features count from their mean, in the basis of the eigenvectors of their covariance S. There the Hessian of f at
  W = 0, which is S / K + l for K classes, is diagonal: it is the initial Hessian of the search, so that ill-conditioned
  features cost no iterations.
- Weak penalties start from the rough minima of stronger ones, one a decade, with what was seen of the curvature there:
  only the penalty's own curvature differs. The decades depend on the features alone, so that each penalty gets what it
  gets alone.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nml.tuning.data import ROWS_AT_ONCE, TrainingSet

logger = logging.getLogger("nml")

HISTORY = 10
"""Pairs of steps and changes of the gradient that the Hessian is estimated from."""

LARGEST_ITERATIONS = 1000

TOLERANCE = 5e-6
"""The search ends where a quasi-Newton step would lower the objective by less than half of this share of it.

Of an objective above 1, it is this share of 1. A decided sample adds as little to the decrease as to the
cross-entropy, so the share says by how much, squared, the logits of undecided samples would still change.
"""

ROWS_PER_DIMENSION = 2
"""How many samples the covariance is estimated from, at most about twice so many, as a multiple of D."""

FAR = 1e-3
"""A search that ends where such a step would still lower the objective by more than half of this share is warned of."""

ROUGH = 0.1
"""The same on the path to a penalty."""

DECADE = 10.0
"""Ratio of neighbouring penalties on the path."""

SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises which a step must bring (Armijo)."""

ROUNDING = 1e-6
"""Relative rounding error of the objective in float32."""

NUMBERS_AT_ONCE = 2**24
"""How many logits are formed at once: 64 MiB."""


@dataclass(frozen=True)
class _Basis:
    """Coordinates for slopes: the mean [D] of the features, orthogonal `vectors` [D, D], and the curvature at W = 0.

    The curvature, [D + 1], is the Hessian's diagonal without the penalty: of the slopes, then of the intercept.
    """

    mean: Tensor
    vectors: Tensor
    curvature: Tensor


@dataclass(frozen=True)
class _Point:
    """Slopes in the basis and intercepts [K, D + 1], their cross-entropy and its gradient, and the last pairs.

    Each pair is a step, the change of the gradient of the cross-entropy along it, and that of the objective.
    """

    values: Tensor
    loss: float
    gradient: Tensor
    pairs: tuple[tuple[Tensor, Tensor, Tensor], ...] = ()


Objective = Callable[[Tensor], tuple[float, Tensor]]


@torch.no_grad()
def minimise(samples: TrainingSet, penalties: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the weights [P, D, K] and intercepts [P, 1, K] of the P penalty weights l, float32.

    Parameters
    ----------
    samples : TrainingSet
        Their plain features, [n, D] in chunks; a class may have none.
    penalties : sequence of float
        Positive.
    """
    basis = _basis(samples)
    found = _path(lambda values: _cross_entropy(samples, basis, values), basis, samples.num_classes, penalties)
    slopes = torch.stack([(values[:, :-1] @ basis.vectors.T).T for values in found])
    intercepts = torch.stack([values[:, -1] for values in found])
    return slopes, (intercepts - basis.mean @ slopes).unsqueeze(1)


def _basis(samples: TrainingSet) -> _Basis:
    """Return the basis of the features, with the covariance of enough of them to know it roughly."""
    total = sum(rows.sum(dim=0).double() for rows, _ in samples.chunks())
    mean = (total / len(samples)).float()
    step = max(1, len(samples) // (ROWS_PER_DIMENSION * len(mean)))
    some = samples.rows.gather(samples.places[::step]) - mean
    variances, vectors = torch.linalg.eigh(some.T @ some / len(some))
    # Far below the mean eigenvalue float32 knows nothing of the matrix.
    least = 1e-4 * variances.mean() + torch.finfo(torch.float32).tiny
    curvature = torch.cat([variances.clamp(min=0) + least, torch.ones_like(mean[:1])]) / samples.num_classes
    return _Basis(mean, vectors, curvature)


def _cross_entropy(samples: TrainingSet, basis: _Basis, values: Tensor) -> tuple[float, Tensor]:
    """Return the mean cross-entropy at the values [K, D + 1], and its gradient.

    Classes come before samples in all products: so they take a quarter less time on a processor.
    """
    slopes = values[:, :-1] @ basis.vectors.T
    offset = values[:, -1:] - slopes @ basis.mean.unsqueeze(1)
    loss = torch.zeros((), dtype=torch.float64, device=values.device)
    gradient, excess = torch.zeros_like(slopes), torch.zeros_like(offset)
    for rows, labels in samples.chunks(max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // len(values)))):
        logs = torch.addmm(offset, slopes, rows.T).log_softmax(dim=0)
        index = labels.unsqueeze(0)
        own = logs.gather(0, index)
        errors = logs.exp_().scatter_(0, index, 0.0)
        wrong = errors.sum(dim=0, keepdim=True)
        # Near a probability of 1, that of the other classes is known to more digits than log p and p - 1 are.
        loss += torch.where(wrong < 0.5, -torch.log1p(-wrong.clamp(max=0.5)), -own).sum(dtype=torch.float64)
        errors.scatter_(0, index, -wrong)
        gradient.addmm_(errors, rows)
        excess += errors.sum(dim=1, keepdim=True)
    gradient.addmm_(excess, basis.mean.unsqueeze(0), alpha=-1)
    return float(loss) / len(samples), torch.cat([gradient @ basis.vectors, excess], dim=1) / len(samples)


def _path(objective: Objective, basis: _Basis, num_classes: int, penalties: Sequence[float]) -> list[Tensor]:
    """Return the minima [K, D + 1] of the penalties."""
    values = basis.mean.new_zeros(num_classes, len(basis.curvature))
    point, rough = _Point(values, *objective(values)), float(basis.curvature[:-1].mean())
    found = {}
    for penalty in sorted(set(penalties), reverse=True):
        while rough > penalty:
            point = _descend(point, objective, basis, rough, ROUGH)
            rough /= DECADE
        end = _descend(point, objective, basis, penalty, TOLERANCE)
        _warn_if_far(end, basis, penalty)
        found[penalty] = end.values
    return [found[penalty] for penalty in penalties]


def _descend(point: _Point, objective: Objective, basis: _Basis, penalty: float, tolerance: float) -> _Point:
    """Return the minimum with a penalty, searched from a point."""
    ridge = _ridge(basis, penalty)
    point = replace(point, pairs=tuple((step, change, change + ridge * step) for step, change, _ in point.pairs))
    for _ in range(LARGEST_ITERATIONS):
        direction, slope = _step(point, basis, ridge)
        moved = _search(point, objective, ridge, direction, slope) if _gap(point, ridge, slope) > tolerance else None
        if moved is None:
            break
        point = moved
    return point


def _ridge(basis: _Basis, penalty: float) -> Tensor:
    """Return the penalty's curvature [D + 1]: none of the intercept."""
    ridge = torch.full_like(basis.curvature, penalty)
    ridge[-1] = 0
    return ridge


def _step(point: _Point, basis: _Basis, ridge: Tensor) -> tuple[Tensor, float]:
    """Return the quasi-Newton step, and the derivative of the objective along it."""
    gradient = point.gradient + ridge * point.values
    pairs = [(step, change) for step, _, change in point.pairs]
    direction = _direction(gradient, pairs, basis.curvature + ridge)
    return direction, float(_dot(gradient, direction))


def _gap(point: _Point, ridge: Tensor, slope: float) -> float:
    """Return twice the share of the objective by which a step of this derivative would lower it."""
    return -slope / max(min(_value(point, ridge), 1.0), torch.finfo(torch.float32).tiny)


def _warn_if_far(point: _Point, basis: _Basis, penalty: float) -> None:
    ridge = _ridge(basis, penalty)
    gap = _gap(point, ridge, _step(point, basis, ridge)[1])
    if gap > FAR:
        logger.warning(
            "logistic regression with an L2 penalty of %.3g did not converge: its next step would lower the objective "
            "by %.1g of it. A smaller C (a larger penalty) converges sooner.",
            penalty,
            gap / 2,
        )


def _direction(gradient: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], curvature: Tensor) -> Tensor:
    """Return minus the gradient over the estimated Hessian, by the two loops over the history."""
    direction, coefficients = gradient.clone(), []
    for step, change in reversed(pairs):
        coefficients.append(_dot(step, direction) * _inverse(_dot(step, change)))
        direction.addcmul_(change, coefficients[-1], value=-1)
    direction /= curvature
    if pairs:
        step, change = pairs[-1]
        known = _dot(step, change)
        direction *= torch.where(known > 0, known / _dot(change, change / curvature).clamp(min=1e-30), 1.0)
    for (step, change), coefficient in zip(pairs, reversed(coefficients), strict=True):
        direction.addcmul_(step, coefficient - _dot(change, direction) * _inverse(_dot(step, change)))
    return direction.neg_()


def _search(point: _Point, objective: Objective, ridge: Tensor, direction: Tensor, slope: float) -> _Point | None:
    """Return the first of the points at 1, 1/2, 1/4, ... of the direction where the objective is enough lower.

    None if there is none: the point is the minimum, as far as float32 can tell.
    """
    start, length = _value(point, ridge), 1.0
    for _ in range(20):
        values = point.values + length * direction
        loss, gradient = objective(values)
        step, change = values - point.values, gradient - point.gradient
        moved = _Point(values, loss, gradient, (*point.pairs, (step, change, change + ridge * step))[-HISTORY:])
        if _value(moved, ridge) <= start + SUFFICIENT * length * slope + ROUNDING * abs(start):
            return moved
        length /= 2
    return None


def _value(point: _Point, ridge: Tensor) -> float:
    """Return the objective."""
    return point.loss + 0.5 * float((ridge * point.values.square()).sum())


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return torch.dot(first.flatten(), second.flatten())


def _inverse(curvature: Tensor) -> Tensor:
    """Return 1 / curvature, and 0 where rounding left none: such a pair teaches nothing."""
    return torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), 0)
