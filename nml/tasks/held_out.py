"""Validation samples, held out from the training part where there is no official validation set to use."""

from collections.abc import Sequence

import numpy as np

from nml.seeds import hash_keys

SHARE = 0.1


def held_out(keys: Sequence[str], labels: np.ndarray, task: str) -> np.ndarray:
    """Tell which training samples are for validation.

    In each class, a tenth of the samples, rounded, but at least one of two or more: those whose keys hash lowest.

    Parameters
    ----------
    keys : N keys
    labels : int64 [N]
    task : its name, which salts the hash

    Returns
    -------
    np.ndarray
        bool [N]
    """
    order = np.lexsort((hash_keys(keys, salt=f"validation {task}"), labels))
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    wanted = np.maximum(np.round(SHARE * sizes).astype(np.int64), 1) * (sizes > 1)
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    mask = np.zeros(len(order), dtype=bool)
    mask[order] = rank < np.repeat(wanted, sizes)
    return mask
