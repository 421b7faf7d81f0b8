"""Where a random crop lies, in training and in the augmented views of features."""

import math
import random

RATIO = (3 / 4, 4 / 3)
"""Width over height of random crops, as of torchvision's RandomResizedCrop."""
_ATTEMPTS = 10

Box = tuple[int, int, int, int]


def random_box(width: int, height: int, scale: tuple[float, float], rng: random.Random) -> Box:
    """Return a random crop (left, top, right, bottom), distributed as torchvision's `RandomResizedCrop.get_params`.

    Area and log ratio are uniform; after ten draws that do not fit, the largest central crop of an allowed ratio.
    """
    for _ in range(_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.randint(0, width - w), rng.randint(0, height - h)
            return left, top, left + w, top + h
    return _central_box(width, height)


def _central_box(width: int, height: int) -> Box:
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
