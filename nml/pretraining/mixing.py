"""Mixup and CutMix of whole batches, as timm's `Mixup(mode="batch")`, but drawn so that a resumed run repeats them."""

import numpy as np
import torch
from timm.data.mixup import mixup_target

from nml.config.recipes import Recipe

# With both, the share of batches that CutMix has (timm's `switch_prob`).
SWITCH = 0.5


def mix(
    images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, num_classes: int, draws: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image with the one opposite it in the batch, and its label likewise.

    Parameters
    ----------
    images : float [B, 3, H, W]
    labels : int64 [B]
    recipe : the α of Mixup and of CutMix, and the label smoothing; with neither α nothing is mixed or drawn
    num_classes : width of the mixed targets
    draws : a generator on the CPU

    Returns
    -------
    images [B, 3, H, W]; targets, float [B, num_classes] with rows that sum to 1, or the labels if nothing is mixed
    """
    if not (recipe.mixup or recipe.cutmix):
        return images, labels
    rng = np.random.default_rng(torch.randint(2**63 - 1, (), generator=draws).item())
    cuts = rng.random() < SWITCH if recipe.mixup and recipe.cutmix else bool(recipe.cutmix)
    alpha = recipe.cutmix if cuts else recipe.mixup
    share = rng.beta(alpha, alpha)
    images, share = _cut(images, share, rng) if cuts else (torch.lerp(images.flip(0), images, share), share)
    return images, mixup_target(labels, num_classes, share, recipe.label_smoothing)


def _cut(images: torch.Tensor, share: float, rng: np.random.Generator) -> tuple[torch.Tensor, float]:
    """Put a box of the opposite image into each; return the images, and the share that is left of their own.

    The box has about 1 - share of the area, around a point drawn from the whole image, and ends at its border.
    """
    sides = np.array(images.shape[-2:])
    box = (sides * np.sqrt(1 - share)).astype(int)
    centre = rng.integers(sides)
    (top, left), (bottom, right) = np.clip([centre - box // 2, centre + (box + 1) // 2], 0, sides).tolist()
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / sides.prod().item()
