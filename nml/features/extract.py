"""Running a frozen encoder over a task, once."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from nml.encoders import LoadedEncoder
from nml.features.parts import Parts
from nml.features.store import Split, TaskFeatures
from nml.features.views import view_of
from nml.preemption import Preempted, asked, deferred
from nml.progress import Progress
from nml.tasks.task import Task, count_samples, read_split

BATCH_SIZE = 256


def extract_features(
    encoder: LoadedEncoder, task: Task, views: int = 1, smallest_area: float = 0.8, parts: Parts | None = None
) -> TaskFeatures:
    """Return the features of every split of a task in the order of its shards, without augmentation.

    Of the training images there are also the features of `views` - 1 views, crops of at least `smallest_area` where
    their ratio allows it. With `parts`, an extraction that is killed or asked to stop is gone on with by the next one.

    Raises
    ------
    Preempted
        If the process was asked to stop, after its part is saved.
    """
    progress = Progress(f"features {encoder.address} {task.name}", len(task.splits), unit="splits", interval=10)
    splits, augmented = {}, None
    for name in task.splits:
        splits[name], seen = _extract_split(encoder, task, name, views if name == "train" else 1, smallest_area, parts)
        if name == "train" and views > 1:
            augmented = seen
        progress.advance()
    train, validation = splits.pop("train"), splits.pop("val")
    about = (task.test_groups, task.allowed, task.variant, augmented)
    return TaskFeatures(task.name, len(task.class_names), train, validation, splits, *about)


def _extract_split(
    encoder: LoadedEncoder, task: Task, split: str, views: int, smallest_area: float, parts: Parts | None
) -> tuple[Split, np.ndarray]:
    """Return a split, and the features of all its views, float32 [views, N, D], of which the first are the split's."""
    found = _Found(count_samples(task, split), views)
    for part in parts.read(split) if parts else ():
        found.add(*part)
    samples, kept = read_split(task, split, start=len(found.keys)), len(found.keys)
    with deferred():
        while batch := list(islice(samples, BATCH_SIZE)):
            features = [
                _features(encoder, [view_of(image, view, smallest_area, task.name, key) for key, image, _ in batch])
                for view in range(views)
            ]
            found.add(np.stack(features), [label for _, _, label in batch], [key for key, _, _ in batch])
            is_last = asked()
            if parts and (parts.is_due or is_last):
                kept = _keep(parts, split, found, kept)
            if is_last:
                raise Preempted
    if parts and parts.is_long and kept < len(found.keys):
        _keep(parts, split, found, kept)
    return Split(found.features[0], np.asarray(found.labels, dtype=np.int64), found.keys), found.features


class _Found:
    """What is extracted of a split, in order: features float32 [V, N, D] of V views, labels and keys."""

    def __init__(self, samples: int, views: int) -> None:
        self.samples, self.features = samples, np.empty((views, 0, 0), dtype=np.float32)
        self.labels: list[int] = []
        self.keys: list[str] = []

    def add(self, features: np.ndarray, labels: list[int], keys: list[str]) -> None:
        if self.features.size == 0:
            # All of it at once: lists to be joined would hold a large split twice.
            self.features = np.empty((len(features), self.samples, features.shape[2]), dtype=np.float32)
        self.features[:, len(self.keys) : len(self.keys) + len(keys)] = features
        self.labels += labels
        self.keys += keys


def _keep(parts: Parts, split: str, found: _Found, start: int) -> int:
    """Save what was found from `start` on; return where the next part starts."""
    end = len(found.keys)
    features = np.ascontiguousarray(found.features[:, start:end])
    parts.write(split, start, features, found.labels[start:], found.keys[start:])
    return end


@torch.inference_mode()
def _features(encoder: LoadedEncoder, images: Sequence[np.ndarray]) -> np.ndarray:
    return encoder.features(encoder.transform(list(images))).float().cpu().numpy()
