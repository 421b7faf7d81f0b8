"""Hierarchical label noise: a class is confused with its siblings under the same hypernym.

A noise of a sibling study on the papers' encoders (Sun et al., appendix D.2: WordNet hypernyms). The hypernyms are the
corpus' own, in its catalogue entry (`groups`).
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._groups import flip_within

CORRUPTS = "labels"
DEFINITION = 1
GROUPS = True


def hierarchical(
    labels: np.ndarray, keys: Sequence[str], groups: Sequence[str], ratio: float, seed: int, of: str = "corpus"
) -> np.ndarray:
    """Return labels of which exactly ratio * N are wrong, each a sibling of the true class.

    Parameters, errors and guarantees are those of `nml.noise.asymmetric`; `groups` has the hypernym of each class.
    """
    return flip_within(labels, keys, groups, ratio, seed, of, "hierarchical")
