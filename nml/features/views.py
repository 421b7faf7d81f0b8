"""Views of a training image: the image itself, and copies that are cropped at random and mirrored half of the time.

The crop is that of the released code's training transforms (torchvision's), a random part of the area between 3:4 and
4:3, but it is drawn once for each view and not anew in every epoch. It is scaled back to the image's own size, so that
a view goes through the encoder's usual transform, whatever that is.
"""

import random

import numpy as np
from PIL import Image

from nml.pretraining.random_box import random_box
from nml.seeds import derive_seed

SMALLEST_AREA = {"supervised": 0.8, "contrastive": 0.9}
"""The smallest part of the image's area that a crop is drawn with, by the encoder's objective: timm's, open_clip's."""


def view_of(image: np.ndarray, view: int, smallest_area: float, *names: str) -> np.ndarray:
    """Return a view of an image, uint8 [H, W, 3], of the same shape; view 0 is the image.

    Parameters
    ----------
    image : uint8 [H, W, 3]
    view : int
    smallest_area : float
        In (0, 1].
    names
        What the random numbers are of: the task and the key of the sample. Each view draws its own.
    """
    if view == 0:
        return image
    rng = random.Random(derive_seed("view", *names, view))
    height, width = image.shape[:2]
    box = random_box(width, height, (smallest_area, 1), rng)
    seen = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box))
    return np.ascontiguousarray(seen[:, ::-1]) if rng.random() < 0.5 else seen
