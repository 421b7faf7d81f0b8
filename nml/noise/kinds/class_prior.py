"""Label noise by the class prior: a wrong label is drawn as often as its class occurs in the corpus.

A noise of a sibling study by the papers' first author (Chen et al., NeurIPS 2024, appendix B.1: flips according to the
class prior). On a corpus with classes of one size it equals `symmetric` in distribution.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._labels import require_valid, wrong_in_each_class
from nml.seeds import hash_keys

CORRUPTS = "labels"
DEFINITION = 1


def class_prior(labels: np.ndarray, keys: Sequence[str], num_classes: int, ratio: float, seed: int) -> np.ndarray:
    """Return labels of which exactly ratio * n_c, halves rounded up, are wrong in each class c with n_c samples.

    A wrong label of a sample of class c is the class d != c with probability n_d / (N - n_c).

    Parameters and errors are those of `nml.noise.symmetric`; besides, at least two classes must have samples.

    Returns
    -------
    int64 array [N]
    """
    labels = np.asarray(labels, dtype=np.int64)
    require_valid(labels, keys, num_classes, ratio)
    sizes = np.bincount(labels, minlength=num_classes)
    if (sizes > 0).sum() < 2 and len(labels):
        raise ValueError("all labels are of one class; a label can only be wrong by the prior of another one.")
    wrong = wrong_in_each_class(labels, keys, ratio, salt=f"class-prior/which/{seed}")
    ends = np.cumsum(sizes)
    # A place among the samples of all other classes, in the order of the classes.
    place = (
        hash_keys(keys, salt=f"class-prior/where/{seed}") % (len(labels) - sizes[labels]).astype(np.uint64)
    ).astype(np.int64)
    place += np.where(place >= (ends - sizes)[labels], sizes[labels], 0)
    return np.where(wrong, np.searchsorted(ends, place, side="right"), labels)
