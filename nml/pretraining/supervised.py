"""The supervised objective: the labels, clean or noisy, are learned with a cross-entropy."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from timm.loss import BinaryCrossEntropy
from torch import nn

from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.pretraining.architectures import Architecture
from nml.pretraining.micro_batches import autocast, held_back
from nml.pretraining.world import World

TARGET = "label"


def collate(targets: list[Any], context_length: int | None) -> torch.Tensor:
    """Return labels as int64 [B]; they have no context."""
    return torch.tensor(targets)


def loss(
    model: nn.Module, images: torch.Tensor, targets: torch.Tensor, recipe: Recipe, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss and the number of right predictions, of normalised images [B, 3, H, W].

    The targets are labels, int64 [B], or mixed and smoothed ones, float [B, classes]; of the latter, the class with the
    largest share is the right one.
    """
    logits = model(images).float()
    labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
    return _criterion(logits, targets, recipe), (logits.argmax(dim=1) == labels).sum()


def _criterion(logits: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    if recipe.loss == "bce":
        return BinaryCrossEntropy(recipe.label_smoothing, recipe.bce_threshold)(logits, targets)
    # Mixed targets are smoothed already.
    return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing if targets.ndim == 1 else 0.0)


def accumulate(
    model: nn.Module, parts: list[tuple[torch.Tensor, torch.Tensor]], recipe: Recipe, weight: float, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add up the gradients of the parts of a batch; return its mean loss and number of right predictions.

    Parameters
    ----------
    model : its batch norms see each part on its own
    parts : images and targets of each
    recipe : the loss
    weight : of each sample in the gradient
    world : this process among all
    """
    total, right = torch.zeros((), device=parts[0][0].device), 0
    for number, (images, targets) in enumerate(parts, start=1):
        with held_back(model, last=number == len(parts)):
            with autocast(recipe, images.device):
                mean, hits = loss(model, images, targets, recipe, world)
            (mean * len(images) * weight).backward()
        total, right = total + mean.detach() * len(images), right + hits
    return total / sum(len(images) for images, _ in parts), right


def classifier(model: nn.Module, corpus: Corpus, architecture: Architecture) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what gives normalised images [B, 3, H, W] their classes, int64 [B]."""
    return lambda images: model(images).argmax(dim=1)
