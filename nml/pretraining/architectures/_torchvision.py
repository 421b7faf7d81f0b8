"""Every image classifier of torchvision that ends in a linear layer, such as `torchvision/resnet50`."""

from collections.abc import Callable

import torch
import torchvision
from torch import nn

from nml.pretraining.architectures import refuse

IMAGE_SIZE = 224
# They give several predictions at once in training, or none from a linear layer.
OTHERS = {"googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"}


def models() -> list[str]:
    """Return the names of the classifiers."""
    return [name for name in torchvision.models.list_models(module=torchvision.models) if name not in OTHERS]


def require(model: str) -> None:
    """Raise `UserError` if torchvision has no such classifier."""
    if model not in models():
        raise refuse(f"torchvision/{model}", "is no classifier of torchvision that can be trained here", models())


def image_size(model: str) -> int:
    """Return the side of the input, in pixels, that the reference scripts train at."""
    return IMAGE_SIZE


def build(model: str, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Return the model; a ViT, whose input has a fixed size, is built for `image_size` pixels."""
    options = {"image_size": image_size} if model.startswith("vit_") else {}
    return torchvision.models.get_model(model, weights=None, num_classes=num_classes, **options)


def features(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from images [B, 3, H, W] to what the last linear layer, the classifier, is given, [B, D]."""
    classifier = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]

    def run(images: torch.Tensor) -> torch.Tensor:
        given = []
        handle = classifier.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            module(images)
        finally:
            handle.remove()
        return given[0]

    return run
