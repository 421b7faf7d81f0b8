"""One file an architecture.

Each declares `OBJECTIVE` (the recipes it serves) and `IMAGE_SIZE` (pixels), and builds its model from a library's parts
with `build(num_classes)`, a `torch.nn.Module`.
"""

import importlib
from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn

from nml.plugins import architectures, module_name


def load(name: str) -> ModuleType:
    """Import an architecture by its name, such as `resnet-mini`."""
    if name not in architectures():
        raise ValueError(f"architecture '{name}' does not exist; allowed are {', '.join(architectures())}.")
    return importlib.import_module(module_name("pretraining/architectures", name))


def feature_function(model: nn.Module, architecture: ModuleType) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what turns normalised images [B, 3, H, W] into features [B, D], as the papers define them.

    Supervised: pooled, before the classifier. CLIP: the projected image embedding, un-normalised.
    """
    if architecture.OBJECTIVE == "contrastive":
        return model.encode_image
    return lambda images: model.forward_head(model.forward_features(images), pre_logits=True)
