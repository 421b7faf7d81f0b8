"""Label noise of downstream tasks: in the training and validation labels, by the noise kinds of pre-training."""

from collections.abc import Sequence

import numpy as np

import nml.noise
from nml import plugins
from nml.errors import UserError
from nml.grid import Noise
from nml.seeds import derive_seed

NOISY_SPLITS = ("train", "val")
"""The test labels stay clean."""


def noisy_group(group: str, noise: Noise) -> str:
    """Return the group of a test set of a task with this noise, such as `id+symmetric-20`; without noise, the same.

    An average over tasks must not mix tasks with other noise.
    """
    return f"{group}+{noise}" if noise.percent else group


def noisy_labels(
    labels: np.ndarray, keys: Sequence[str], num_classes: int, noise: Noise, task: str, split: str, seed: int = 0
) -> np.ndarray:
    """Return the labels of one split of a task with a noise in them.

    What is wrong is a hash of task, split, seed and key: the same under every encoder, and nested between ratios.

    Parameters
    ----------
    labels : int array [N], in [0, num_classes)
    keys : N unique sample keys
    num_classes : int
    noise : kind and percent
    task : its name in the catalogue
    split : `train` or `val`; those of any other come back as they are
    seed : `noise_seed` of the configuration

    Returns
    -------
    int64 array [N]

    Raises
    ------
    UserError
        If this noise cannot be done to the labels of a task.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if not noise.percent or split not in NOISY_SPLITS:
        return labels
    if noise.kind not in plugins.task_noise_kinds():
        allowed = ", ".join(plugins.task_noise_kinds())
        raise UserError(f"task '{task}+{noise}': '{noise.kind}' is no noise of a task's labels. Allowed: {allowed}.")
    corrupt = getattr(nml.noise, noise.kind.replace("-", "_"))
    try:
        return corrupt(labels, keys, num_classes, noise.percent / 100, derive_seed("task", task, split, seed))
    except ValueError as error:
        raise UserError(f"task '{task}+{noise}': its {split} labels cannot have this noise: {error}") from error
