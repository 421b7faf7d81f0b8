"""One linear layer: `weight` [H, D, C] and `bias` [H, 1, C]. The transformed features are the features.

Weights start Kaiming-uniform, U(-b, b) with b = sqrt(6 / fan_in), and biases at zero (the paper's table).
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Parameters = dict[str, Tensor]


def initial(
    dimensions: int, num_classes: int, hyperparameters: Mapping[str, float], random: np.random.Generator
) -> Parameters:
    """Return the initial values of one head."""
    return kaiming("", dimensions, num_classes, random)


def forward(parameters: Parameters, features: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
    """Return the features and the logits [H, B, C] of features [H, B, D]."""
    return features, linear(parameters, "", features)


def gradients(features: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight and bias, from features [H, B, D] and the gradient in the logits [H, B, C]."""
    return torch.bmm(features.transpose(1, 2), errors), errors.sum(dim=1, keepdim=True)


def linear(parameters: Parameters, layer: str, inputs: Tensor) -> Tensor:
    """Apply the layer `weight<layer>`, `bias<layer>` to inputs [H, B, fan in]."""
    return torch.baddbmm(parameters[f"bias{layer}"], inputs, parameters[f"weight{layer}"])


def kaiming(layer: str, fan_in: int, fan_out: int, random: np.random.Generator) -> Parameters:
    """Return Kaiming-uniform `weight<layer>` [fan in, fan out] and zero `bias<layer>` [1, fan out]."""
    return {
        f"weight{layer}": uniform(math.sqrt(6 / fan_in), (fan_in, fan_out), random),
        f"bias{layer}": torch.zeros(1, fan_out),
    }


def uniform(bound: float, shape: tuple[int, int], random: np.random.Generator) -> Tensor:
    """Return float32 numbers from U(-bound, bound)."""
    return torch.from_numpy(random.uniform(-bound, bound, shape).astype(np.float32))
