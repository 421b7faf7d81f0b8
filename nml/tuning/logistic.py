"""Multinomial logistic regression with an L2 penalty, to convergence, for many penalties at once.

The objective of penalty weight l is f(W, b) = 1/n sum_i CE(x_i W + b, y_i) + l/2 ||W||^2; the intercepts b are free.
It is found by L-BFGS (Nocedal and
Wright, algorithm 7.4), where all penalties share each pass over the samples, and with two changes of variables that the
minimum does not see: the features count from their mean, and the initial Hessian is that of f at W = 0, which is
known: S / K + l I with the covariance S of the features and K classes. Ill-conditioned features cost it no iterations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nml.tuning.data import ROWS_AT_ONCE, TrainingSet

HISTORY = 10
"""Pairs of steps and changes of the gradient that the Hessian is estimated from."""

LARGEST_ITERATIONS = 1000

TOLERANCE = 1e-6
"""The search ends where a quasi-Newton step would lower the objective by less than half of this share of it."""

SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises which a step must bring (Armijo)."""

ROUNDING = 1e-6
"""Relative rounding error of the objective in float32."""

NUMBERS_AT_ONCE = 2**24
"""How many logits of all penalties are formed at once: 64 MiB."""

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Precondition = Callable[[Tensor, Tensor], Tensor]


def minimise(samples: TrainingSet, penalties: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the weights [P, D, K] and intercepts [P, 1, K] of the P penalty weights l, float32.

    Parameters
    ----------
    samples : TrainingSet
        Their plain features, [n, D] in chunks; a class may have none.
    penalties : sequence of float
        Positive.
    """
    weights = torch.tensor(penalties, dtype=torch.float32, device=samples.labels.device)
    mean, covariance = _moments(samples)
    shape = (len(mean) + 1, len(weights), samples.num_classes)
    solution = _lbfgs(
        lambda values, members: _objective(samples, mean, weights[members], values),
        _preconditioner(covariance, weights, samples.num_classes),
        torch.zeros(shape, device=mean.device),
    )
    slopes = solution[:-1].permute(1, 0, 2).contiguous()
    return slopes, solution[-1].unsqueeze(1) - (mean @ slopes).unsqueeze(1)


def _moments(samples: TrainingSet) -> tuple[Tensor, Tensor]:
    """Return the mean [D] of the features, and the covariance [D, D] of enough of them to know it roughly."""
    total = sum(rows.sum(dim=0, dtype=torch.float64) for rows, _ in samples.chunks())
    mean = (total / len(samples)).float()
    step = max(1, len(samples) // (4 * len(mean)))
    some = samples.rows.gather(samples.places[::step]) - mean
    return mean, some.T @ some / len(some)


def _preconditioner(covariance: Tensor, penalties: Tensor, num_classes: int) -> Precondition:
    """Return what divides gradients [D + 1, P, K] of some of the penalties by the Hessian at zero."""
    curvature = covariance / num_classes
    # Far below the mean eigenvalue float32 knows nothing of the matrix.
    least = 1e-4 * curvature.diagonal().mean() + torch.finfo(torch.float32).tiny
    eye = torch.eye(len(covariance), device=covariance.device)
    factors = torch.stack([torch.linalg.cholesky(curvature + (penalty + least) * eye) for penalty in penalties])
    inverses = torch.cholesky_inverse(factors)

    def divide(gradient: Tensor, members: Tensor) -> Tensor:
        slopes = torch.bmm(inverses[members], gradient[:-1].transpose(0, 1)).transpose(0, 1)
        return torch.cat([slopes, gradient[-1:] * num_classes])

    return divide


@torch.no_grad()
def _objective(samples: TrainingSet, mean: Tensor, penalties: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the objective float64 [P] and its gradient [D + 1, P, K] at the slopes and intercepts [D + 1, P, K]."""
    slopes, intercepts = values[:-1], values[-1:]
    flat = slopes.flatten(1)
    offset = (intercepts.flatten(1) - mean @ flat).view(1, *values.shape[1:])
    loss = torch.zeros(len(penalties), dtype=torch.float64, device=values.device)
    gradient = torch.zeros_like(values)
    for rows, labels in samples.chunks(max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // flat.shape[1]))):
        logits = (rows @ flat).view(len(rows), *values.shape[1:]).add_(offset).log_softmax(dim=-1)
        index = labels.view(-1, 1, 1).expand(-1, len(penalties), 1)
        loss -= logits.gather(2, index).sum(dim=(0, 2), dtype=torch.float64)
        errors = logits.exp_().scatter_add_(2, index, torch.full_like(index, -1, dtype=logits.dtype))
        gradient[:-1].flatten(1).addmm_(rows.T, errors.flatten(1))
        gradient[-1] += errors.sum(dim=0)
    gradient[:-1] -= mean.view(-1, 1, 1) * gradient[-1:]
    gradient /= len(samples)
    gradient[:-1] += penalties.view(1, -1, 1) * slopes
    return loss / len(samples) + 0.5 * penalties * slopes.square().sum(dim=(0, 2)), gradient


@dataclass
class _State:
    """The problems still being solved: their numbers [P], points, objectives, gradients, and the last changes."""

    members: Tensor
    values: Tensor
    objective: Tensor
    gradient: Tensor
    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)

    def keep(self, open_ones: Tensor) -> "_State":
        """Return the state of some of the problems."""
        return _State(
            self.members[open_ones],
            self.values[:, open_ones],
            self.objective[open_ones],
            self.gradient[:, open_ones],
            [step[:, open_ones] for step in self.steps],
            [change[:, open_ones] for change in self.changes],
        )


def _lbfgs(objective: Objective, precondition: Precondition, start: Tensor) -> Tensor:
    """Return the minima of P convex problems [D + 1, P, K]; each leaves when it has converged."""
    members = torch.arange(start.shape[1], device=start.device)
    state = _State(members, start, *objective(start, members))
    found = start.clone()
    for _ in range(LARGEST_ITERATIONS):
        direction = _direction(state, precondition)
        slope = _dot(state.gradient, direction)
        moved = _search(state, objective, direction, slope)
        found[:, state.members] = state.values
        open_ones = (-slope > TOLERANCE * state.objective) & moved
        if not bool(open_ones.any()):
            break
        if not bool(open_ones.all()):
            state = state.keep(open_ones)
    return found


def _direction(state: _State, precondition: Precondition) -> Tensor:
    """Return minus the gradient over the estimated Hessian, by the two loops over the history."""
    remaining, coefficients = state.gradient.clone(), []
    pairs = list(zip(state.steps, state.changes, strict=True))
    for step, change in reversed(pairs):
        coefficient = _dot(step, remaining) * _inverse(_dot(step, change))
        coefficients.append(coefficient)
        remaining -= _per_problem(coefficient) * change
    direction = precondition(remaining, state.members)
    if pairs:
        step, change = pairs[-1]
        known = _dot(step, change)
        scale = known / _dot(change, precondition(change, state.members)).clamp(min=1e-30)
        direction *= _per_problem(torch.where(known > 0, scale, 1.0))
    for (step, change), coefficient in zip(pairs, reversed(coefficients), strict=True):
        back = coefficient - _dot(change, direction) * _inverse(_dot(step, change))
        direction += _per_problem(back) * step
    return direction.neg_()


def _search(state: _State, objective: Objective, direction: Tensor, slope: Tensor) -> Tensor:
    """Move along the directions, each by the first of 1, 1/2, 1/4, ... that lowers its objective enough.

    Returns which problems moved, bool [P]; the others are at their minimum as far as float32 can tell.
    """
    lengths = torch.ones_like(slope)
    for _ in range(20):
        values = state.values + _per_problem(lengths) * direction
        found, gradient = objective(values, state.members)
        bound = state.objective + SUFFICIENT * lengths * slope + ROUNDING * state.objective.abs()
        enough = found <= bound
        if bool(enough.all()):
            break
        lengths = torch.where(enough, lengths, lengths / 2)
    moved = enough.view(1, -1, 1)
    step = torch.where(moved, values - state.values, 0)
    state.steps = [*state.steps, step][-HISTORY:]
    state.changes = [*state.changes, torch.where(moved, gradient - state.gradient, 0)][-HISTORY:]
    state.values = torch.where(moved, values, state.values)
    state.gradient = torch.where(moved, gradient, state.gradient)
    state.objective = torch.where(enough, found, state.objective)
    return enough


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Return the inner products [P] of [D + 1, P, K]."""
    return (first * second).sum(dim=(0, 2))


def _inverse(curvature: Tensor) -> Tensor:
    """Return 1 / curvature, and 0 where rounding left none: such a pair teaches nothing."""
    return torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), 0)


def _per_problem(numbers: Tensor) -> Tensor:
    return numbers.to(torch.float32).view(1, -1, 1)
