"""Symmetric label noise: within every class the same share of labels moves to the other classes, all alike.

The noise of the papers' ImageNet-1K encoders (arXiv 2309.17002, section 2: labels are flipped uniformly into the
other classes). A clean label is never drawn again, so the realised ratio is the nominal one up to rounding per class.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._labels import require_valid, wrong_in_each_class
from nml.seeds import hash_keys

CORRUPTS = "labels"
DEFINITION = 1


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
    require_valid(labels, keys, num_classes, ratio)
    wrong = wrong_in_each_class(labels, keys, ratio, salt=f"symmetric/which/{seed}")
    step = 1 + (hash_keys(keys, salt=f"symmetric/where/{seed}") % np.uint64(num_classes - 1)).astype(np.int64)
    return np.where(wrong, (labels + step) % num_classes, labels)
