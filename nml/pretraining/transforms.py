"""From a photograph of any size to a square to train on, uint8, one at a time, in the loader's workers.

The pixels are those of torchvision's and timm's transforms; normalisation is left to the device, for whole batches.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from nml.config.transforms import ImageTransform
from nml.pretraining.evaluation_transform import FILTERS, resized
from nml.pretraining.random_box import random_box
from nml.seeds import derive_seed

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
