"""The images of a task for tuning an encoder: read once, held, and changed anew for every training step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nml.config.recipes import Augmentation
from nml.encoders import LoadedEncoder
from nml.errors import UserError
from nml.pretraining.images import augment, stack_images
from nml.tasks.task import Task, read_split

IMAGES_AT_ONCE = 256
"""Images that are encoded together where no gradient is needed."""


@dataclass(frozen=True)
class Images:
    """One split: images uint8 [N, 3, H, W] on the host, labels int64 [N] and keys [N]."""

    pixels: Tensor
    labels: np.ndarray
    keys: list[str]

    def augmented(
        self, rows: np.ndarray, encoder: LoadedEncoder, device: torch.device, change: Augmentation | None, seed: int
    ) -> Tensor:
        """Return some images as the encoder takes them [B, 3, S, S], randomly cropped and mirrored by a seed."""
        images = encoder.transform(self.pixels[torch.from_numpy(rows)].to(device))
        if change is None:
            return images
        return augment(images, change, torch.Generator().manual_seed(seed % 2**63))

    def batches(self, encoder: LoadedEncoder, device: torch.device) -> Iterator[Tensor]:
        """Yield all images in their order, as the encoder takes them, without random changes."""
        for part in self.pixels.split(IMAGES_AT_ONCE):
            yield encoder.transform(part.to(device))


@dataclass(frozen=True)
class TaskImages:
    """All splits of a task; `groups` names the group (`id`, `ood`, `source`) of each test set."""

    task: str
    num_classes: int
    train: Images
    validation: Images
    tests: dict[str, Images]
    groups: dict[str, str]


def read_images(task: Task) -> TaskImages:
    """Read every split of a task.

    Raises
    ------
    UserError
        If its files are damaged, or its images are not all of one size.
    """
    splits = {name: _read(task, name) for name in task.splits}
    train, validation = splits.pop("train"), splits.pop("val")
    return TaskImages(task.name, len(task.class_names), train, validation, splits, task.test_groups)


def random_changes(crop_scale: float, flip: bool) -> Augmentation | None:
    """Return a random crop of at least a share of the area, and a mirror image half of the time; None for neither."""
    if crop_scale == 1 and not flip:
        return None
    return Augmentation(min_scale=math.sqrt(crop_scale), flip=flip)


def _read(task: Task, split: str) -> Images:
    keys, images, labels = [], [], []
    for key, image, label in read_split(task, split):
        keys.append(key)
        images.append(image)
        labels.append(label)
    if len({image.shape for image in images}) > 1:
        raise UserError(
            f"task '{task.name}' has images of several sizes; such tasks can be tuned by their features alone."
        )
    return Images(stack_images(images), np.asarray(labels, dtype=np.int64), keys)
