"""Logistic regression on the features with an L2 penalty, solved to convergence: a linear probe without a schedule.

`C` is the inverse strength of the penalty, as scikit-learn's; the features are neither scaled nor centred.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from nml.tuning.data import TrainingSet
from nml.tuning.heads import linear
from nml.tuning.logistic import minimise

TRAINED = False
PARAMETERS = {"C": 1.0}
BOUNDS = {"C": (1e-9, 1e9)}


def fit(samples: TrainingSet, candidates: Sequence[Mapping[str, float]]) -> tuple[Callable, dict[str, Tensor]]:
    """Return the linear heads of all strengths."""
    weight, bias = minimise(samples, [1 / (one["C"] * len(samples)) for one in candidates])
    return _scores, {"weight": weight, "bias": bias}


def _scores(parameters: dict[str, Tensor], features: Tensor) -> Tensor:
    return linear.forward(parameters, features.expand(len(parameters["weight"]), -1, -1))[1]
