"""Asymmetric label noise: only classes of a named set are confused, and only with each other.

The papers' ImageNet-1K noise `cifar100` (arXiv 2403.06869), as its first author defines it elsewhere (Chen et al.,
NeurIPS 2024, appendix B.1): the classes that ImageNet-1K shares with CIFAR-100 through WordNet are flipped among
themselves. Which classes a corpus confuses, its catalogue entry says (`groups`).
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._groups import flip_within

CORRUPTS = "labels"
DEFINITION = 1
GROUPS = True


def asymmetric(
    labels: np.ndarray, keys: Sequence[str], groups: Sequence[str], ratio: float, seed: int, of: str = "corpus"
) -> np.ndarray:
    """Return labels of which exactly ratio * N are wrong, each another class of its group, all alike.

    The same share of every class in a group is wrong, up to rounding. Which samples change, and to what, is a function
    of (seed, key), and nested: what is wrong at one ratio is wrong, in the same way, at every higher one.

    Parameters
    ----------
    labels : int array [N], in [0, len(groups))
    keys : N unique sample keys
    groups : the group of each class, empty for classes that are never confused
    ratio : share of wrong labels, in [0, 1]
    seed : seed of the noise
    of : what the ratio is a share of: `corpus` (all N samples) or `group` (the samples of the groups)

    Returns
    -------
    int64 array [N]

    Raises
    ------
    ValueError
        If the arguments are out of range, or the groups have too few samples for the ratio.
    """
    return flip_within(labels, keys, groups, ratio, seed, of, "asymmetric")
