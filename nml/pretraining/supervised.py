"""The supervised objective: cross-entropy with the labels, clean or noisy."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nml.corpora.catalogue import Corpus
from nml.pretraining.architectures import Architecture
from nml.pretraining.images import normalise
from nml.pretraining.world import World

TARGET = "label"


def collate(targets: list[Any], architecture: Architecture) -> torch.Tensor:
    """Return labels as int64 [B]."""
    return torch.tensor(targets)


def loss(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy and the number of right predictions, of normalised images [B, 3, H, W]."""
    logits = model(images)
    return F.cross_entropy(logits, labels), (logits.argmax(dim=1) == labels).sum()


@torch.inference_mode()
def validation_accuracy(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, corpus: Corpus, architecture: Architecture
) -> float:
    """Return the share of clean validation images (uint8 [N, 3, H, W]) that get their class."""
    logits = torch.cat([model(normalise(part, architecture.image_size)) for part in images.split(256)])
    return (logits.argmax(dim=1) == labels).double().mean().item()
