"""The optimisers of the recipes."""

import torch
from timm.optim import Lamb
from torch import nn

from nml.config.recipes import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return a recipe's optimiser for a model's parameters; biases, norms and scalars decay only if it says so."""
    decayed = [p for p in model.parameters() if p.ndim > 1 or recipe.decay_all]
    plain = [p for p in model.parameters() if p.ndim <= 1 and not recipe.decay_all]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    moments = {"lr": recipe.learning_rate, "betas": recipe.betas, "eps": recipe.epsilon}
    if recipe.optimizer == "lamb":
        # The engine clips the gradient, for every optimiser alike.
        return Lamb(groups, max_grad_norm=None, **moments)
    return torch.optim.AdamW(groups, fused=True, **moments)
