"""Parts of a training split: the same share of every class, each part inside every larger one."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from nml.seeds import hash_keys


def fraction_indices(labels: np.ndarray, keys: Sequence[str], percent: float) -> np.ndarray:
    """Return which samples a percentage of a training split keeps.

    Of each class with n_c samples the first floor(n_c * percent / 100), at least one, in the order of their hashed
    keys. So 10 % lies in 25 %, 25 % in 50 %, and the order in which the samples are read makes no difference.

    Parameters
    ----------
    labels : int array [N]
    keys : N unique sample keys
    percent : in (0, 100]

    Returns
    -------
    int64 array, ascending
        Places in `labels`.

    Raises
    ------
    ValueError
        If there is not one key a label, or the percent is out of range.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if len(labels) != len(keys):
        raise ValueError(f"{len(labels)} labels but {len(keys)} keys; there must be one key a label.")
    if not 0 < percent <= 100:
        raise ValueError(f"percent is {percent}; allowed are numbers above 0, up to 100, for example 25.")
    order = np.lexsort((hash_keys(keys, salt="fraction"), labels))
    classes, sizes = np.unique(labels, return_counts=True)
    parts = np.split(order, np.cumsum(sizes)[:-1]) if len(classes) else []
    kept = [part[: _quota(percent, len(part))] for part in parts]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *kept]))


def _quota(percent: float, size: int) -> int:
    # As the decimal number that was written: 29 % of 100 is 29, though 0.29 * 100 is less in binary.
    return max(1, math.floor(Fraction(f"{percent:.12g}") * size / 100))
