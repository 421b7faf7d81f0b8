"""Running a frozen encoder over a task, once."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from nml.encoders import LoadedEncoder
from nml.features.store import Split, TaskFeatures
from nml.features.views import view_of
from nml.progress import Progress
from nml.tasks.task import Task, count_samples, read_split

BATCH_SIZE = 256


def extract_features(encoder: LoadedEncoder, task: Task, views: int = 1, smallest_area: float = 0.8) -> TaskFeatures:
    """Return the features of every split of a task in the order of its shards, without augmentation.

    Of the training images there are also the features of `views` - 1 views, crops of at least `smallest_area`.
    """
    progress = Progress(f"features {encoder.address} {task.name}", len(task.splits), unit="splits", interval=10)
    splits, augmented = {}, None
    for name in task.splits:
        splits[name], seen = _extract_split(encoder, task, name, views if name == "train" else 1, smallest_area)
        if name == "train" and views > 1:
            augmented = seen
        progress.advance()
    train, validation = splits.pop("train"), splits.pop("val")
    about = (task.test_groups, task.allowed, task.variant, augmented)
    return TaskFeatures(task.name, len(task.class_names), train, validation, splits, *about)


def _extract_split(
    encoder: LoadedEncoder, task: Task, split: str, views: int, smallest_area: float
) -> tuple[Split, np.ndarray]:
    """Return a split, and the features of all its views, float32 [views, N, D], of which the first are the split's."""
    count = count_samples(task, split)
    features, labels, keys = np.empty((views, 0, 0), dtype=np.float32), [], []
    samples = read_split(task, split)
    while batch := list(islice(samples, BATCH_SIZE)):
        for view in range(views):
            images = [view_of(image, view, smallest_area, task.name, key) for key, image, _ in batch]
            found = _features(encoder, images)
            if features.size == 0:
                # All of it at once: lists to be joined would hold a large split twice.
                features = np.empty((views, count, found.shape[1]), dtype=np.float32)
            features[view, len(keys) : len(keys) + len(batch)] = found
        labels += [label for _, _, label in batch]
        keys += [key for key, _, _ in batch]
    return Split(features[0], np.asarray(labels, dtype=np.int64), keys), features


@torch.inference_mode()
def _features(encoder: LoadedEncoder, images: Sequence[np.ndarray]) -> np.ndarray:
    return encoder.features(encoder.transform(list(images))).float().cpu().numpy()
