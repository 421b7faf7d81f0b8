"""Classification heads on frozen features, stacked: every tensor of a head has a leading head dimension H.

A head is a module with two functions; one file each here, or the file of a method with `HEAD = "own"`:

- `initial(dimensions, num_classes, hyperparameters, random) -> dict of Tensor`: the tensors of one head, from its own
  hyper-parameters and a NumPy generator;
- `forward(parameters, features, training) -> (transformed, logits)`: of H stacked heads, for features [H, B, D] the
  transformed features Z [H, B, D] and the logits [H, B, C].

Tensors whose names begin with `running_` are statistics: `forward` may change them in place where `training` is true,
and nothing else trains them.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from nml.errors import UserError
from nml.plugins import MethodSpec
from nml.tuning.heads import linear, mlp, residual_mlp

HEADS = {"linear": linear, "mlp": mlp, "residual-mlp": residual_mlp}

Parameters = dict[str, Tensor]

INITIAL_VALUES, BATCH_ORDER, VIEW_CHOICE = 0, 1, 2
"""The independent random streams of a seed."""

STATISTICS = "running_"
"""What the names of tensors that no gradient trains begin with."""


def generator(seed: int, stream: int) -> np.random.Generator:
    """Return one stream of a head's randomness; the numbers do not depend on the device."""
    return np.random.default_rng((seed, stream))


def head_of(spec: MethodSpec, method: ModuleType) -> ModuleType:
    """Return the module with a trained method's head: one of this package, or the method's own."""
    return method if spec.head == "own" else HEADS[spec.head]


def initialise(
    head: ModuleType,
    dimensions: int,
    num_classes: int,
    hyperparameters: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
) -> Parameters:
    """Return the initial tensors of one head per seed, stacked, float32 on the CPU.

    A head's values depend on its own seed, hyper-parameters and shape alone, so that it starts the same in every stack.

    Parameters
    ----------
    head : module
        With the functions that this package's docstring names.
    dimensions, num_classes : int
        D and C, the widths of the features and of the logits.
    hyperparameters : sequence of mapping
        The method's own, one mapping a head, H of them.
    seeds : sequence of int
        One a head.

    Raises
    ------
    UserError
        If the hyper-parameters leave no hidden unit, or give the heads tensors of different shapes.
    """
    heads = [
        head.initial(dimensions, num_classes, own, generator(seed, INITIAL_VALUES))
        for own, seed in zip(hyperparameters, seeds, strict=True)
    ]
    shapes = [{name: value.shape for name, value in values.items()} for values in heads]
    if any(own != shapes[0] for own in shapes):
        differing = [key for key in hyperparameters[0] if len({own[key] for own in hyperparameters}) > 1]
        raise UserError(
            f"{head.__file__}: heads that differ in {', '.join(differing)} have tensors of different shapes, so they "
            "cannot train in one stack. Take out of PER_HEAD what changes a shape."
        )
    return {name: torch.stack([values[name] for values in heads]) for name in heads[0]}
