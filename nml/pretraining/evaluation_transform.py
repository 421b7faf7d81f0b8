"""From a photograph of any size to the square that an encoder sees after training, without random changes.

Apart from the changes of training, so that those do not count as code that features depend on.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

EvaluationTransform = Callable[[Image.Image], np.ndarray]


def evaluation_transform(size: int, crop: float, interpolation: str) -> EvaluationTransform:
    """Return what turns an RGB image into uint8 [size, size, 3]: the shorter side is scaled, and the centre kept.

    The pixels are those of timm's transform.

    Parameters
    ----------
    size : side of the square, in pixels
    crop : share of the scaled image's side that is kept: the shorter one becomes ⌊size / crop⌋ pixels
    interpolation : a key of `FILTERS`
    """
    side = math.floor(size / crop)

    def transform(image: Image.Image) -> np.ndarray:
        image = resized(image, _with_shorter_side(image.size, side), interpolation)
        left, top = (round((length - size) / 2) for length in image.size)
        return np.asarray(image.crop((left, top, left + size, top + size)))

    return transform


def resized(image: Image.Image, size: tuple[int, int], interpolation: str) -> Image.Image:
    """Return an image scaled to (width, height)."""
    return image if image.size == size else image.resize(size, FILTERS[interpolation])


def _with_shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return (width, height) scaled so that the shorter one is `side`; the longer one is cut to whole pixels."""
    width, height = size
    return (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
