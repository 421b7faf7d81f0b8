"""An MLP gives the transformed features Z, then a linear layer: the paper's head for MLP tuning and NMTune.

`depth` linear layers with ReLU between them, Linear(D, W) - ReLU - ... - Linear(W, D) with W = `width` D, are
`weight1`, `bias1`, `weight2`, ...; `weight` [H, D, C] and `bias` are the classifier. All start as those of `linear`.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from torch import Tensor

from nml.errors import UserError
from nml.tuning.heads.linear import Parameters, kaiming, linear

PARAMETERS = {"width": 1.0, "depth": 2}
BOUNDS = {"width": (0.1, None), "depth": (1, None)}


def initial(
    dimensions: int, num_classes: int, hyperparameters: Mapping[str, float], random: np.random.Generator
) -> Parameters:
    """Return the initial values of one head; raise `UserError` if there is no hidden unit."""
    values: Parameters = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(layer_widths(dimensions, hyperparameters)), start=1):
        values |= kaiming(str(layer), fan_in, fan_out, random)
    return values | kaiming("", dimensions, num_classes, random)


def forward(parameters: Parameters, features: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
    """Return Z [H, B, D] and the logits [H, B, C] of features [H, B, D]."""
    depth = layers(parameters)
    transformed = linear(parameters, "1", features)
    for layer in range(2, depth + 1):
        transformed = linear(parameters, str(layer), transformed.relu())
    return transformed, linear(parameters, "", transformed)


def layer_widths(dimensions: int, hyperparameters: Mapping[str, float]) -> list[int]:
    """Return the widths around the layers of an MLP; raise `UserError` if there is no hidden unit."""
    width, depth = hyperparameters["width"], hyperparameters["depth"]
    hidden = round(width * dimensions)
    if hidden < 1:
        raise UserError(f"width {width} leaves no hidden unit on features of {dimensions} dimensions; use 1.0 or more")
    return [dimensions, *[hidden] * (depth - 1), dimensions]


def layers(parameters: Parameters) -> int:
    """Return how many linear layers the MLP has."""
    return sum(name.startswith("weight") for name in parameters) - 1
