"""A batch in parts small enough to compute, with the gradient of the whole."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from nml.config.recipes import Recipe
from nml.pretraining.world import World


def count_parts(recipe: Recipe, size: int, world: World) -> int:
    """Return in how many parts every process computes its share of a batch of `size` samples.

    The same for all of them, since they wait for each other in each part.
    """
    largest_share = -(-size // world.size)
    return -(-largest_share // (recipe.micro_batch_size or largest_share))


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return the context in which the forward pass has the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")


def held_back(model: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Return the context in which gradients stay with this process; in the last part they go to all."""
    return nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync()
