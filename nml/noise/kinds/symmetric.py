"""Symmetric label noise: within every class the same share of labels moves to the other classes, all alike.

The noise of the papers' ImageNet-1K encoders (arXiv 2309.17002, section 2: labels are flipped uniformly into the
other classes). A clean label is never drawn again, so the realised ratio is the nominal one up to rounding per class.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._counts import count_of
from nml.seeds import hash_keys

CORRUPTS = "labels"


def symmetric(labels: np.ndarray, keys: Sequence[str], num_classes: int, ratio: float, seed: int) -> np.ndarray:
    """Return labels of which exactly ratio * n_c, halves rounded up, are wrong in each class c with n_c samples.

    Which samples change, and to what, is a function of (seed, key): a sample that is wrong at one ratio is wrong, and
    wrong in the same way, at every higher one.

    Parameters
    ----------
    labels : int array [N], in [0, num_classes)
    keys : N unique sample keys
    num_classes : at least 2
    ratio : share of wrong labels, in [0, 1]
    seed : seed of the noise

    Returns
    -------
    int64 array [N]

    Raises
    ------
    ValueError
        If the shapes, the labels, the ratio or the number of classes are out of range.
    """
    labels = np.asarray(labels, dtype=np.int64)
    _require_valid(labels, keys, num_classes, ratio)
    rank = rank_within(labels, hash_keys(keys, salt=f"symmetric/which/{seed}"))
    sizes = np.bincount(labels, minlength=num_classes).tolist()
    quota = np.array([count_of(ratio, size) for size in sizes], dtype=np.int64)
    step = 1 + (hash_keys(keys, salt=f"symmetric/where/{seed}") % np.uint64(num_classes - 1)).astype(np.int64)
    return np.where(rank < quota[labels], (labels + step) % num_classes, labels)


def rank_within(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return each element's rank by `order` among the elements of its group (ints [N])."""
    by_group = np.lexsort((order, groups))
    first = np.searchsorted(groups[by_group], groups[by_group], side="left")
    rank = np.empty(len(groups), dtype=np.int64)
    rank[by_group] = np.arange(len(groups)) - first
    return rank


def _require_valid(labels: np.ndarray, keys: Sequence[str], num_classes: int, ratio: float) -> None:
    if len(labels) != len(keys):
        raise ValueError(f"{len(labels)} labels but {len(keys)} keys; there must be one key a label.")
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; a label can only be wrong among at least 2 classes.")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; allowed are shares from 0 to 1, for example 0.2.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"labels reach from {labels.min()} to {labels.max()}; allowed are 0 to {num_classes - 1}.")
