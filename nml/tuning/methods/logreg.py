"""Logistic regression on the features with an L2 penalty, solved to convergence: a linear probe without a schedule.

The minimum is that of scikit-learn's `LogisticRegression(C=C)`; the features are neither scaled nor centred.
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
    # Two classes have one vector of weights in scikit-learn: the difference of ours, which are each other's opposite.
    vectors = 2 if samples.num_classes == 2 else 1
    weight, bias = minimise(samples, [vectors / (one["C"] * len(samples)) for one in candidates])
    return _scores, {"weight": weight, "bias": bias}


def _scores(parameters: dict[str, Tensor], features: Tensor) -> Tensor:
    return linear.forward(parameters, features.expand(len(parameters["weight"]), -1, -1))[1]
