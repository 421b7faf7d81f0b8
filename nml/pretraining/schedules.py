"""The learning rate, step by step."""

import math
from bisect import bisect_left

from nml.config.recipes import Recipe


def learning_rate(recipe: Recipe, epoch: float, epoch_steps: int) -> float:
    """Return the learning rate of the step that ends at a fractional epoch.

    Parameters
    ----------
    recipe : its peak, warm-up and schedule
    epoch : epochs that are done after the step; the first step ends at 1 / epoch_steps
    epoch_steps : optimiser steps in an epoch
    """
    warmup = warmup_length(recipe, epoch_steps)
    if epoch < warmup:
        return recipe.learning_rate * epoch / warmup
    if recipe.schedule == "step":
        # A milestone counts from the first step after it.
        return recipe.learning_rate * recipe.decay_factor ** bisect_left(recipe.milestones, epoch)
    done = (epoch - warmup) / max(recipe.epochs - warmup, 1e-9)
    above = recipe.learning_rate - recipe.min_learning_rate
    return recipe.min_learning_rate + above * 0.5 * (1 + math.cos(math.pi * done))


def warmup_length(recipe: Recipe, epoch_steps: int) -> float:
    """Return the length of the warm-up in epochs."""
    return recipe.warmup_epochs if recipe.warmup_steps is None else recipe.warmup_steps / epoch_steps
