"""What the kinds of label noise share: which samples are wrong, and the checks of their arguments.

Whatever a kind asks for, it is decided by a hash of (seed, key) and by ranks among the samples of a class, so that it
does not depend on the order of the samples, and what is wrong at one ratio is wrong at every higher one.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._counts import count_of
from nml.seeds import hash_keys


def wrong_in_each_class(labels: np.ndarray, keys: Sequence[str], ratio: float, salt: str) -> np.ndarray:
    """Choose exactly ratio * n_c, halves rounded up, of the n_c samples of each class c; bool [N]."""
    sizes = np.bincount(labels).tolist()
    quota = np.array([count_of(ratio, size) for size in sizes], dtype=np.int64)
    return rank_within(labels, hash_keys(keys, salt)) < quota[labels]


def wrong_in_all(labels: np.ndarray, keys: Sequence[str], eligible: np.ndarray, count: int, salt: str) -> np.ndarray:
    """Choose exactly `count` of the eligible samples (bool [N]), the same share of each class up to rounding; bool [N].

    Samples are taken in the order of (rank in the class + 1/2) / size of the class, the order of Webster's method of
    apportionment: every class has about the same share of any first part of it.
    """
    order = hash_keys(keys, salt)
    share = (rank_within(labels, order) + 0.5) / np.bincount(labels)[labels]
    chosen = np.zeros(len(labels), dtype=bool)
    rows = np.flatnonzero(eligible)
    chosen[rows[np.lexsort((order[rows], share[rows]))[:count]]] = True
    return chosen


def rank_within(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return each element's rank by `order` among the elements of its group (ints [N])."""
    by_group = np.lexsort((order, groups))
    first = np.searchsorted(groups[by_group], groups[by_group], side="left")
    rank = np.empty(len(groups), dtype=np.int64)
    rank[by_group] = np.arange(len(groups)) - first
    return rank


def require_valid(labels: np.ndarray, keys: Sequence[str], num_classes: int, ratio: float) -> None:
    """Check the arguments that all kinds of label noise have.

    Raises
    ------
    ValueError
        If the shapes, the labels, the ratio or the number of classes are out of range.
    """
    if len(labels) != len(keys):
        raise ValueError(f"{len(labels)} labels but {len(keys)} keys; there must be one key a label.")
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; a label can only be wrong among at least 2 classes.")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; allowed are shares from 0 to 1, for example 0.2.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"labels reach from {labels.min()} to {labels.max()}; allowed are 0 to {num_classes - 1}.")
