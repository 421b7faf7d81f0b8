"""Label noise inside groups of classes: a wrong label is another class of the group that the true class is in."""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._counts import count_of
from nml.noise.kinds._labels import require_valid, wrong_in_all
from nml.seeds import hash_keys

COUNTS = ("corpus", "group")
"""What a ratio may be a share of."""


def flip_within(
    labels: np.ndarray, keys: Sequence[str], groups: Sequence[str], ratio: float, seed: int, of: str, kind: str
) -> np.ndarray:
    """Return labels [N] of which the asked number moved, uniformly, to another class of their own group.

    Parameters
    ----------
    labels : int array [N], in [0, len(groups))
    keys : N unique sample keys
    groups : the group of each class; an empty name is no group, and its class is left alone, as is one without fellows
    ratio : share of wrong labels, in [0, 1]
    seed : seed of the noise
    of : what the ratio is a share of: `corpus`, all N samples, or `group`, those that can be wrong
    kind : the kind's name, for its random numbers

    Raises
    ------
    ValueError
        If an argument is out of range, or fewer samples can be wrong than are asked for.
    """
    labels = np.asarray(labels, dtype=np.int64)
    require_valid(labels, keys, len(groups), ratio)
    if of not in COUNTS:
        raise ValueError(f"of is {of!r}; a ratio is a share of one of {', '.join(COUNTS)}.")
    group, place, fellows = _members(groups)
    eligible = fellows[group[labels]] > 1
    able = int(eligible.sum())
    count = count_of(ratio, len(labels) if of == "corpus" else able)
    if count > able:
        raise ValueError(
            f"{100 * ratio:g} % of {len(labels)} samples are {count}, and only {able} are in a group of two classes or "
            f"more; allowed are at most {100 * able / len(labels):.6g} %, or percents of the group."
        )
    wrong = wrong_in_all(labels, keys, eligible, count, salt=f"{kind}/which/{seed}")
    random = hash_keys(keys, salt=f"{kind}/where/{seed}")
    return np.where(wrong, _another(labels, random, group, place, fellows), labels)


def _members(groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each class's group [C], its place in it [C], and each group's number of classes [G]; ints."""
    names = [name or f"\0{label}" for label, name in enumerate(groups)]
    group = np.unique(names, return_inverse=True)[1]
    place = np.empty(len(groups), dtype=np.int64)
    fellows = np.bincount(group)
    for members in np.split(np.argsort(group, kind="stable"), np.cumsum(fellows)[:-1]):
        place[members] = np.arange(len(members))
    return group, place, fellows


def _another(
    labels: np.ndarray, random: np.ndarray, group: np.ndarray, place: np.ndarray, fellows: np.ndarray
) -> np.ndarray:
    """Return for each label another one of its group, by its random number; itself where the group has no other."""
    members = np.argsort(group, kind="stable")
    first = np.cumsum(fellows) - fellows
    size = fellows[group[labels]]
    step = 1 + (random % np.maximum(size - 1, 1).astype(np.uint64)).astype(np.int64)
    return members[first[group[labels]] + (place[labels] + step) % size]
