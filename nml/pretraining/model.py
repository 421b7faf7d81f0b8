"""The model of a recipe: at its initialisation, and as all processes train it together."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nml.config.recipes import Recipe
from nml.pretraining import architectures
from nml.pretraining.world import World
from nml.seeds import derive_seed


def build_model(recipe: Recipe, recipe_name: str, num_classes: int, seed: int) -> nn.Module:
    """Return the model at its initialisation, which depends on the recipe's name and the seed alone.

    The noise is left out on purpose: encoders of one seed start from the same weights at every noise ratio, so that
    their differences come from the noise.
    """
    torch.manual_seed(derive_seed(recipe_name, f"s{seed}", "init"))
    return architectures.of_recipe(recipe).build(num_classes, recipe.drop_path)


def parallel(recipe: Recipe, model: nn.Module, world: World) -> nn.Module:
    """Return the model as all processes train it together; batch norms see the part of each."""
    if world.size > 1:
        devices = [world.local_rank] if world.device.type == "cuda" else None
        model = DistributedDataParallel(model, device_ids=devices)
    return torch.compile(model) if recipe.compile else model
