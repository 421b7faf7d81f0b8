"""Views of a training image: the image itself, and copies that are cropped at random and mirrored half of the time.

The crop is that of the released code's training transforms, a random part of the area between 3:4 and 4:3, but it is
drawn once for each view and not anew in every epoch. It is scaled back to the image's own size, so that a view goes
through the encoder's usual transform, whatever that is.
"""

import math

import numpy as np
from PIL import Image

from nml.seeds import derive_seed

SMALLEST_AREA = {"supervised": 0.8, "contrastive": 0.9}
"""The smallest part of the image's area that a crop keeps, by the objective of the encoder: timm's and open_clip's."""

LARGEST_RATIO = 4 / 3
TRIES = 10


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
    random = np.random.default_rng(derive_seed("view", *names, view))
    height, width = image.shape[:2]
    box = _crop(height, width, smallest_area, random)
    seen = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box))
    return np.ascontiguousarray(seen[:, ::-1]) if random.random() < 0.5 else seen


def _crop(height: int, width: int, smallest_area: float, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Return left, upper, right and lower edge; all of the image where no crop fits."""
    for _ in range(TRIES):
        area = height * width * random.uniform(smallest_area, 1)
        ratio = math.exp(random.uniform(-math.log(LARGEST_RATIO), math.log(LARGEST_RATIO)))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, upper = (int(random.integers(room + 1)) for room in (width - across, height - down))
            return left, upper, left + across, upper + down
    return 0, 0, width, height
