"""The head of the released code: an MLP with batch norm beside the features, Z = s * MLP(F) + F, then a linear layer.

`depth` - 1 times Linear(W) - batch norm - ReLU, with W = `width` D, then Linear(D). The scale s [H, 1, D] is trained
and starts at `scale`. The MLP's layers start as PyTorch's linear layers do, U(-b, b) with b = 1 / sqrt(fan_in) for
weights and biases, since the released code leaves them so; the classifier starts Kaiming-uniform, as theirs.

Batch norm is that of PyTorch: the statistics of the mini-batch while training, and running ones (`running_mean1`,
`running_variance1`, ... [H, 1, W]) when predicting. Each head has its own.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nml.tuning.heads.linear import Parameters, kaiming, linear, uniform
from nml.tuning.heads.mlp import layer_widths, layers

PARAMETERS = {"width": 4.0, "depth": 2, "scale": 1.0}
BOUNDS = {"width": (0.1, None), "depth": (1, None)}

EPSILON, MOMENTUM = 1e-5, 0.1


def initial(
    dimensions: int, num_classes: int, hyperparameters: Mapping[str, float], random: np.random.Generator
) -> Parameters:
    """Return the initial values of one head; raise `UserError` if there is no hidden unit."""
    values: Parameters = {"scale": torch.full((1, dimensions), float(hyperparameters["scale"]))}
    for layer, (fan_in, fan_out) in enumerate(pairwise(layer_widths(dimensions, hyperparameters)), start=1):
        bound = 1 / math.sqrt(fan_in)
        values[f"weight{layer}"] = uniform(bound, (fan_in, fan_out), random)
        values[f"bias{layer}"] = uniform(bound, (1, fan_out), random)
        if layer < hyperparameters["depth"]:
            values |= _batch_norm(layer, fan_out)
    return values | kaiming("", dimensions, num_classes, random)


def forward(parameters: Parameters, features: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
    """Return Z [H, B, D] and the logits [H, B, C] of features [H, B, D]."""
    hidden, depth = features, layers(parameters)
    for layer in range(1, depth):
        hidden = _normalise(parameters, layer, linear(parameters, str(layer), hidden), training).relu()
    transformed = torch.addcmul(features, parameters["scale"], linear(parameters, str(depth), hidden))
    return transformed, linear(parameters, "", transformed)


def _batch_norm(layer: int, width: int) -> Parameters:
    one, zero = torch.ones(1, width), torch.zeros(1, width)
    return {f"gain{layer}": one, f"shift{layer}": zero} | {
        f"running_mean{layer}": zero,
        f"running_variance{layer}": one,
    }


def _normalise(parameters: Parameters, layer: int, inputs: Tensor, training: bool) -> Tensor:
    """Return batch norm of inputs [H, B, W], each head over its own B samples."""
    mean, variance = parameters[f"running_mean{layer}"], parameters[f"running_variance{layer}"]
    if training:
        variance_now, mean_now = torch.var_mean(inputs, dim=1, keepdim=True, correction=0)
        _update(mean, mean_now, 1.0)
        # A batch of one has no unbiased variance, which the running one counts with; it keeps its biased one, zero.
        _update(variance, variance_now, inputs.shape[1] / max(inputs.shape[1] - 1, 1))
        mean, variance = mean_now, variance_now
    factor = parameters[f"gain{layer}"] * (variance + EPSILON).rsqrt()
    return torch.addcmul(parameters[f"shift{layer}"], inputs - mean, factor)


@torch.no_grad()
def _update(running: Tensor, now: Tensor, correction: float) -> None:
    running.lerp_(now * correction, MOMENTUM)
