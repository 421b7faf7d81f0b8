"""The features of a task with label noise: those of the clean task, beside other labels."""

from dataclasses import replace
from typing import Any

import numpy as np

from nml.features.store import TaskFeatures
from nml.grid import TaskAddress
from nml.tasks.noise import noisy_group, noisy_labels


def with_label_noise(clean: TaskFeatures, task: TaskAddress, seed: int) -> tuple[TaskFeatures, dict[str, Any]]:
    """Return the features of a task with its training and validation labels corrupted, and a record of what changed.

    The test sets are the clean task's, in groups of their own (`nml.tasks.noise.noisy_group`).

    Parameters
    ----------
    clean : the task without noise
    task : name and noise
    seed : `noise_seed` of the configuration

    Raises
    ------
    UserError
        If this noise cannot be done to the labels of a task.
    """
    splits, record = {}, {"noise": str(task.noise), "seed": seed}
    for name, split in (("train", clean.train), ("val", clean.validation)):
        labels = noisy_labels(split.labels, split.keys, clean.num_classes, task.noise, task.name, name, seed)
        splits[name], record[name] = replace(split, labels=labels), realised(split.labels, labels)
    groups = {test_set: noisy_group(group, task.noise) for test_set, group in clean.groups.items()}
    noisy = replace(clean, task=str(task), train=splits["train"], validation=splits["val"], groups=groups)
    return noisy, record


def realised(clean: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return how many labels of a split there are, and how many, and what percentage, noise changed."""
    changed = int((labels != clean).sum())
    return {
        "samples": len(labels),
        "changed": changed,
        "realised_percent": round(100 * changed / max(len(labels), 1), 6),
    }
