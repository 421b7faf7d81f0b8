"""From images to a model's input, as the header of its checkpoint describes it.

`squash` scales an image to a square; `crop` scales its shorter side and keeps the centre, for photographs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from nml.config.recipes import Recipe
from nml.pretraining import architectures
from nml.pretraining.evaluation_transform import evaluation_transform
from nml.pretraining.images import MEAN, STD, normalise, stack_images

Images = torch.Tensor | Sequence[np.ndarray]


def preprocessing_of(recipe: Recipe) -> dict[str, Any]:
    """Describe, as JSON can hold it, how a recipe's encoders take images after training."""
    how = recipe.image_transform
    if how is None:
        size = architectures.of_recipe(recipe).image_size
        return {"resize": "squash", "size": size, "interpolation": "bilinear", "mean": [MEAN] * 3, "std": [STD] * 3}
    scaling = {"resize": "crop", "size": how.test_size or how.size, "crop": how.test_crop}
    return scaling | {"interpolation": how.interpolation, "mean": list(how.mean), "std": list(how.std)}


def input_transform(preprocessing: dict[str, Any], device: torch.device) -> Callable[[Images], torch.Tensor]:
    """Return what turns images into a model's input, float32 [B, 3, S, S] on a device.

    The images are uint8: a tensor [B, 3, H, W], or arrays [H, W, 3] of any sizes.
    """
    if preprocessing["resize"] == "squash":
        return lambda images: _squashed(images, preprocessing, device)
    crop = evaluation_transform(preprocessing["size"], preprocessing["crop"], preprocessing["interpolation"])

    def transform(images: Images) -> torch.Tensor:
        cropped = [crop(Image.fromarray(image)) for image in _arrays(images)]
        return to_input(stack_images(cropped).to(device), preprocessing)

    return transform


def to_input(images: torch.Tensor, preprocessing: dict[str, Any]) -> torch.Tensor:
    """Turn uint8 images [B, 3, H, W], already cropped if they have to be, into a model's input."""
    if preprocessing["resize"] == "squash":
        return normalise(images, preprocessing["size"])
    return standardise(images, preprocessing["mean"], preprocessing["std"])


def standardise(images: torch.Tensor, mean: Iterable[float], std: Iterable[float]) -> torch.Tensor:
    """Turn uint8 [B, 3, H, W] into float32: values of 0 to 1, less the mean and over the standard deviation."""
    means, stds = (torch.tensor([*values]).mul_(255).view(3, 1, 1) for values in (mean, std))
    # A copy that blocks would wait until the GPU has done all that was asked of it before.
    means, stds = (values.to(images.device, non_blocking=True) for values in (means, stds))
    return images.float().sub_(means).div_(stds).contiguous(memory_format=torch.channels_last)


def _squashed(images: Images, preprocessing: dict[str, Any], device: torch.device) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        return to_input(images.to(device), preprocessing)
    if len({image.shape for image in images}) == 1:
        return to_input(stack_images(list(images)).to(device), preprocessing)
    return torch.cat([_squashed([image], preprocessing, device) for image in images])


def _arrays(images: Images) -> Iterable[np.ndarray]:
    return images.permute(0, 2, 3, 1).cpu().numpy() if isinstance(images, torch.Tensor) else images
