"""Symmetric label noise as the papers' authors released it for downstream tasks: the true class may be drawn again.

`src/datasets/common.py` of the authors' repository gives ratio * N randomly chosen samples a label drawn from all
classes, the true one among them. So a share of ratio * (1 - 1/K) ends up wrong: 18 % at 20 % of ten classes. No class
has an exact share. The realised one is recorded.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._counts import count_of
from nml.noise.kinds._labels import require_valid
from nml.seeds import hash_keys

CORRUPTS = "labels"
DEFINITION = 1


def symmetric_released(
    labels: np.ndarray, keys: Sequence[str], num_classes: int, ratio: float, seed: int
) -> np.ndarray:
    """Return labels of which ratio * N, halves rounded up, were drawn anew from all classes, the true one included.

    Which samples are drawn, and what they get, is a function of (seed, key), and nested: what is drawn at one ratio is
    drawn, in the same way, at every higher one. Parameters and errors are those of `nml.noise.symmetric`.

    Returns
    -------
    int64 array [N]
    """
    labels = np.asarray(labels, dtype=np.int64)
    require_valid(labels, keys, num_classes, ratio)
    drawn = np.argsort(hash_keys(keys, salt=f"symmetric-released/which/{seed}"), kind="stable")
    drawn = drawn[: count_of(ratio, len(labels))]
    noisy = labels.copy()
    noisy[drawn] = (hash_keys(keys, salt=f"symmetric-released/what/{seed}") % np.uint64(num_classes))[drawn]
    return noisy
