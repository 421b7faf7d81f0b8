"""Running a frozen encoder over a task, once."""

from itertools import islice

import numpy as np
import torch

from nml.encoders import LoadedEncoder
from nml.features.store import Split, TaskFeatures
from nml.progress import Progress
from nml.tasks.task import Task, read_split

BATCH_SIZE = 256


def extract_features(encoder: LoadedEncoder, task: Task) -> TaskFeatures:
    """Return the features of every split of a task, without augmentation, in the order of the task's shards."""
    progress = Progress(f"features {encoder.address} {task.name}", len(task.splits), unit="splits", interval=10)
    splits = {}
    for name in task.splits:
        splits[name] = _extract_split(encoder, task, name)
        progress.advance()
    train, validation = splits.pop("train"), splits.pop("val")
    return TaskFeatures(task.name, len(task.class_names), train, validation, splits, task.test_groups)


@torch.inference_mode()
def _extract_split(encoder: LoadedEncoder, task: Task, split: str) -> Split:
    features, labels, keys = [], [], []
    samples = read_split(task, split)
    while batch := list(islice(samples, BATCH_SIZE)):
        images = encoder.transform([image for _, image, _ in batch])
        features.append(encoder.features(images).float().cpu().numpy())
        labels += [label for _, _, label in batch]
        keys += [key for key, _, _ in batch]
    return Split(np.concatenate(features), np.asarray(labels, dtype=np.int64), keys)
