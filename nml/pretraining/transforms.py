"""From a photograph of any size to a square to train on, uint8, one at a time, in the loader's workers.

The pixels are those of torchvision's and timm's transforms; normalisation is left to the device, for whole batches.
"""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from nml.config.transforms import ImageTransform
from nml.pretraining.evaluation_transform import FILTERS, resized
from nml.seeds import derive_seed

RATIO = (3 / 4, 4 / 3)
"""Width over height of random crops, as of torchvision's RandomResizedCrop."""
_ATTEMPTS = 10

Box = tuple[int, int, int, int]
TrainingTransform = Callable[[Image.Image, int], np.ndarray]


def training_transform(how: ImageTransform) -> TrainingTransform:
    """Return what turns an RGB image and a seed into uint8 [size, size, 3]: random crop, mirror, RandAugment.

    The seed decides everything; the global random states of Python and NumPy stay as they were.
    """
    rand_augment = _rand_augment(how)

    def transform(image: Image.Image, seed: int) -> np.ndarray:
        rng = random.Random(seed)
        image = image.crop(random_box(*image.size, how.crop_scale, rng))
        image = resized(image, (how.size, how.size), how.interpolation)
        if how.flip and rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rand_augment:
            # A seed of its own: the crop's would apply the first operation to the small crops, and to no large one.
            with drawing_from(derive_seed("rand-augment", seed)):
                image = rand_augment(image)
        return np.asarray(image)

    return transform


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


def _rand_augment(how: ImageTransform) -> Callable[[Image.Image], Image.Image] | None:
    """Return timm's RandAugment with the parameters that timm's own training transform gives it."""
    if not how.rand_augment:
        return None
    from timm.data import rand_augment_transform

    return rand_augment_transform(
        how.rand_augment,
        {
            "translate_const": int(how.size * 0.45),
            "img_mean": tuple(min(255, round(255 * channel)) for channel in how.mean),
            "interpolation": FILTERS[how.interpolation],
        },
    )


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Seed the global random states of Python and NumPy, which timm draws from, and put them back at the end."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(derive_seed("numpy", seed) % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
