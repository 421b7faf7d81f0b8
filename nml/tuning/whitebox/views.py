"""How images become the input of an encoder under tuning: with random changes in training, and without them after it.

Images of an encoder that squashes them (`nml.pretraining.inputs`) are changed in whole batches on the device;
photographs are cropped one by one, in threads, since Pillow computes outside Python's lock.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nml.config.recipes import Augmentation
from nml.config.transforms import ImageTransform
from nml.pretraining.evaluation_transform import evaluation_transform
from nml.pretraining.images import augment, stack_images
from nml.pretraining.inputs import input_transform, to_input
from nml.pretraining.random_box import RATIO
from nml.pretraining.transforms import training_transform
from nml.seeds import derive_seed

Arrays = Sequence[np.ndarray]


class SquashedViews:
    """Views for an encoder that scales images to a square."""

    def __init__(self, preprocessing: dict[str, Any], crop_scale: float, flip: bool, device: torch.device) -> None:
        self.transform = input_transform(preprocessing, device)
        is_changed = crop_scale < 1 or flip
        # The change counts sides, and the crop's scale is a share of the area.
        self.change = Augmentation(min_scale=math.sqrt(crop_scale), flip=flip) if is_changed else None

    def held(self, image: np.ndarray) -> np.ndarray:
        """Return what is kept of a training image: all of it."""
        return image

    def held_for_test(self, image: np.ndarray) -> np.ndarray:
        """Return what is kept of any other image."""
        return image

    def drawn(self, images: Arrays, seed: int) -> Arrays:
        """Return what the host does to a training batch."""
        return images

    def training_input(self, drawn: Arrays, seed: int) -> Tensor:
        """Return a training batch as the encoder takes it, float32 [B, 3, S, S]; the seed decides its changes."""
        images = self.transform(drawn)
        if self.change is None:
            return images
        return augment(images, self.change, torch.Generator().manual_seed(seed))

    def test_input(self, images: Arrays) -> Tensor:
        """Return images as the encoder takes them, without random changes."""
        return self.transform(images)


class PhotographViews:
    """Views for an encoder that crops photographs: the same steps as `SquashedViews`."""

    def __init__(self, preprocessing: dict[str, Any], crop_scale: float, flip: bool, device: torch.device) -> None:
        self.preprocessing, self.device = preprocessing, device
        how = ImageTransform(
            size=preprocessing["size"],
            crop_scale=(crop_scale, 1),
            flip=flip,
            interpolation=preprocessing["interpolation"],
        )
        self.training = training_transform(how)
        self.evaluation = evaluation_transform(how.size, preprocessing["crop"], how.interpolation)
        # The shorter side of the smallest and narrowest crop of a square is as long as the input's then.
        self.side = math.ceil(how.size / math.sqrt(crop_scale * RATIO[0]))
        self.threads = ThreadPoolExecutor(max(1, torch.get_num_threads()))

    def held(self, image: np.ndarray) -> np.ndarray:
        """Return a photograph, scaled down where it is larger than a crop of it can show."""
        factor = min(image.shape[:2]) / self.side
        if factor <= 1:
            return image
        size = (round(image.shape[1] / factor), round(image.shape[0] / factor))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    def held_for_test(self, image: np.ndarray) -> np.ndarray:
        """Return the centre crop that the encoder sees."""
        return self.evaluation(Image.fromarray(image))

    def drawn(self, images: Arrays, seed: int) -> Arrays:
        seeds = [derive_seed(seed, place) for place in range(len(images))]
        return list(self.threads.map(self.training, map(Image.fromarray, images), seeds))

    def training_input(self, drawn: Arrays, seed: int) -> Tensor:
        return self.test_input(drawn)

    def test_input(self, images: Arrays) -> Tensor:
        return to_input(stack_images(list(images)).to(self.device), self.preprocessing)


Views = SquashedViews | PhotographViews


def views_for(preprocessing: dict[str, Any], crop_scale: float, flip: bool, device: torch.device) -> Views:
    """Return the views of an encoder.

    Parameters
    ----------
    preprocessing : dict
        As the header of the encoder's checkpoint has it.
    crop_scale : float
        Smallest share of an image's area that a random crop takes, in training.
    flip : bool
        Whether half of the images are mirrored in training.
    device : torch.device
    """
    kind = SquashedViews if preprocessing["resize"] == "squash" else PhotographViews
    return kind(preprocessing, crop_scale, flip, device)
