"""Running a frozen encoder over a task, once."""

from itertools import islice

import numpy as np
import torch

from nml.encoders import LoadedEncoder
from nml.features.store import Split, TaskFeatures
from nml.pretraining.images import stack_images
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
    about = (task.test_groups, task.allowed, task.variant)
    return TaskFeatures(task.name, len(task.class_names), train, validation, splits, *about)


@torch.inference_mode()
def _extract_split(encoder: LoadedEncoder, task: Task, split: str) -> Split:
    device = next(encoder.module.parameters()).device
    features, labels, keys = [], [], []
    samples = read_split(task, split)
    while batch := list(islice(samples, BATCH_SIZE)):
        inputs = _transformed(encoder, [image for _, image, _ in batch], device)
        features.append(encoder.features(inputs).float().cpu().numpy())
        labels += [label for _, _, label in batch]
        keys += [key for key, _, _ in batch]
    return Split(np.concatenate(features), np.asarray(labels, dtype=np.int64), keys)


def _transformed(encoder: LoadedEncoder, images: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """Return the encoder's input [B, 3, H, W] for uint8 images [H, W, 3]; photographs have a size each."""
    if len({image.shape for image in images}) == 1:
        return encoder.transform(stack_images(images).to(device))
    return torch.cat([encoder.transform(stack_images([image]).to(device)) for image in images])
