"""From decoded samples to a batch; a corrupt image is left out, and a neighbour takes its place."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from nml.corpora.shards import CorruptImage
from nml.errors import UserError
from nml.pretraining.images import stack_images


class Decoded(NamedTuple):
    """A sample's key, its image, or what is wrong with it, and its label or caption."""

    key: str
    image: np.ndarray | Image.Image | CorruptImage
    target: Any


class Batch(NamedTuple):
    """Images uint8 [B, 3, H, W], B targets, and what was said of each corrupt view: again for each view of an image.

    The targets are a list, or what it is collated to.
    """

    images: torch.Tensor
    targets: Any
    corrupt: list[str]


Change = Callable[[Decoded, int], np.ndarray]


def assemble(views: Iterable[tuple[Decoded, int]], change: Change) -> Batch:
    """Return the batch of some views (sample and number of the view), each made uint8 [H, W, 3] by `change`.

    In the place of a corrupt image stands the next readable one of the batch, at its end the first, so that a batch has
    the size that it was to have, and depends on nothing outside it.

    Raises
    ------
    UserError
        If no image is readable, or the images have different sizes.
    """
    made, corrupt = [], []
    for sample, view in views:
        if isinstance(sample.image, CorruptImage):
            corrupt.append(str(sample.image))
            made.append(None)
        else:
            made.append((change(sample, view), sample.target))
    if not any(made):
        raise UserError(
            f"none of the {len(made)} images that a process read for a batch can be decoded, so none stands in "
            "for them. Restore their shards from the source, or give the processes larger parts: fewer processes, "
            f"or a larger batch_size in the recipe. The first: {corrupt[0]}"
        )
    images, targets = zip(*(_readable_from(made, place) for place in range(len(made))), strict=True)
    require_one_size(images)
    return Batch(stack_images(list(images)), list(targets), corrupt)


def _readable_from(made: list[Any], place: int) -> Any:
    return next(filter(None, made[place:] + made[:place]))


def require_one_size(images: Iterable[np.ndarray]) -> None:
    """Raise a `UserError` if images [H, W, 3] have different sizes and so make no batch."""
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1:
        (h, w), (other_h, other_w) = sizes[0], sizes[-1]
        raise UserError(
            f"the images of a batch have different sizes, such as {w} x {h} and {other_w} x {other_h} pixels. "
            "Give the recipe an `image_transform`, which takes photographs of any size."
        )
