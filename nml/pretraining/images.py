"""From stored images to the model's input: scaling, and random changes drawn for a whole batch at once."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from nml.config.recipes import Augmentation

MEAN, STD = 0.5, 0.5


def stack_images(images: list[np.ndarray]) -> torch.Tensor:
    """Stack uint8 [H, W, 3] arrays to a uint8 tensor [B, 3, H, W]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def normalise(images: torch.Tensor, size: int) -> torch.Tensor:
    """Turn uint8 [B, 3, H, W] into float32 [B, 3, size, size] of about unit scale."""
    images = images.float().div_(255)
    if images.shape[-2:] != (size, size):
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images.sub_(MEAN).div_(STD).contiguous(memory_format=torch.channels_last)


def augment(images: torch.Tensor, change: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Return normalised images [B, 3, H, W] after random changes; each image draws its own.

    All numbers come from `generator` (on the CPU), so that an epoch repeats exactly.
    """
    count, device = len(images), images.device
    draw = torch.rand(10, count, 1, 1, 1, generator=generator).to(device, non_blocking=True)
    images = _warp(images, change, draw[:5, :, 0, 0, 0])
    grey = images.mean(dim=1, keepdim=True)
    images = torch.where(draw[5] < change.grayscale, grey, images)
    images = torch.where(draw[6] < change.invert, -images, images)
    contrast = 1 + change.brightness * (2 * draw[7] - 1)
    return images * contrast + change.brightness * (2 * draw[8] - 1)


def _warp(images: torch.Tensor, change: Augmentation, draw: torch.Tensor) -> torch.Tensor:
    """Crop, rotate and mirror in one resampling; what lies outside the image repeats its border."""
    scale = 1 - (1 - change.min_scale) * draw[0]
    angle = math.radians(change.rotation) * (2 * draw[1] - 1)
    mirror = torch.where((draw[2] < 0.5) & change.flip, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = (1 - scale) * (2 * draw[3:5] - 1)
    rows = torch.stack([cos * mirror, -sin, shift[0], sin * mirror, cos, shift[1]], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
