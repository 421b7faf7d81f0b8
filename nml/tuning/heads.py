"""Classification heads on frozen features, stacked: every parameter has a leading head dimension H.

- `constant`: the same scores for every sample (`bias` [H, C]);
- `linear`: one linear layer (`weight` [H, D, C], `bias` [H, 1, C]);
- `mlp`: Linear(D, width D) - ReLU - Linear(width D, D) gives the transformed features Z, then a linear layer.

Weights start Kaiming-uniform, U(-b, b) with b = sqrt(6 / fan_in), and biases at zero (the paper's table).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nml.errors import UserError

Parameters = dict[str, Tensor]

INITIAL_VALUES, BATCH_ORDER = 0, 1
"""The two independent random streams of a seed."""


def generator(seed: int, stream: int) -> np.random.Generator:
    """Return one stream of a head's randomness; the numbers do not depend on the device."""
    return np.random.default_rng((seed, stream))


def initialise(
    head: str, dimensions: int, num_classes: int, hyperparameters: Mapping[str, float], seeds: Sequence[int]
) -> Parameters:
    """Return the initial parameters of one `linear` or `mlp` head per seed, float32 on the CPU.

    A head's values depend on its own seed and its shape alone, so that it starts the same in every stack.

    Parameters
    ----------
    head : str
        `linear` or `mlp`.
    dimensions, num_classes : int
        D and C, the widths of the features and of the logits.
    hyperparameters : mapping
        The method's own; an `mlp` head needs `width`, its hidden units W over D.
    seeds : sequence of int
        One a head, H of them.

    Returns
    -------
    dict of Tensor
        `weight` [H, D, C] and `bias` [H, 1, C]; for `mlp` also `weight1` [H, D, W], `bias1` [H, 1, W], `weight2`
        [H, W, D] and `bias2` [H, 1, D].

    Raises
    ------
    UserError
        If the width leaves no hidden unit.
    """
    shapes = {"weight": (dimensions, num_classes)}
    if head == "mlp":
        hidden = _hidden_width(dimensions, hyperparameters["width"])
        shapes = {"weight1": (dimensions, hidden), "weight2": (hidden, dimensions), **shapes}
    heads = [_initial_values(shapes, generator(seed, INITIAL_VALUES)) for seed in seeds]
    return {name: torch.stack([values[name] for values in heads]) for name in heads[0]}


def forward(parameters: Parameters, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the transformed features [H, B, D] and the logits [H, B, C] of features [H, B, D]."""
    if "weight" not in parameters:
        return features, parameters["bias"].unsqueeze(1).expand(-1, features.shape[1], -1)
    transformed = features
    if "weight1" in parameters:
        hidden = _linear(parameters, "1", features).relu()
        transformed = _linear(parameters, "2", hidden)
    return transformed, _linear(parameters, "", transformed)


def _linear(parameters: Parameters, layer: str, inputs: Tensor) -> Tensor:
    return torch.baddbmm(parameters[f"bias{layer}"], inputs, parameters[f"weight{layer}"])


def _initial_values(shapes: Mapping[str, tuple[int, int]], random: np.random.Generator) -> Parameters:
    values = {}
    for name, (fan_in, fan_out) in shapes.items():
        bound = math.sqrt(6 / fan_in)
        values[name] = torch.from_numpy(random.uniform(-bound, bound, (fan_in, fan_out)).astype(np.float32))
        values[name.replace("weight", "bias")] = torch.zeros(1, fan_out)
    return values


def _hidden_width(dimensions: int, width: float) -> int:
    hidden = round(width * dimensions)
    if hidden < 1:
        raise UserError(f"width {width} leaves no hidden unit on features of {dimensions} dimensions; use 1.0 or more")
    return hidden
