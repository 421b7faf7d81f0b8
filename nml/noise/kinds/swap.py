"""Caption swaps: exactly the asked share of image-text pairs is mismatched.

The papers swap the texts of two random pairs until the ratio is reached (YFCC15M, CC12M). Swaps with replacement
mismatch fewer pairs than asked; here the chosen pairs pass their captions round in one random cycle, so that nobody
keeps their own.
"""

from collections.abc import Sequence

import numpy as np

from nml.seeds import hash_keys

CORRUPTS = "captions"


def swap(keys: Sequence[str], ratio: float, seed: int, captions: Sequence[str] | None = None) -> np.ndarray:
    """Return, for each sample, the index of the sample whose caption it gets; round(ratio * N) get a foreign one.

    Which samples are mismatched is a function of (seed, key), and nested: who is mismatched at one ratio is so at
    every higher one. The cycle itself closes elsewhere when it grows, and a conflict may be settled otherwise.

    Parameters
    ----------
    keys : N unique sample keys
    ratio : share of mismatched pairs, in [0, 1]; a single pair cannot be mismatched, so 1 of N counts as 0
    seed : seed of the noise
    captions : N texts; where given, nobody receives a text equal to their own from another sample either

    Returns
    -------
    int64 permutation [N]

    Raises
    ------
    ValueError
        If the ratio is out of range, or too many of the chosen captions are equal for a full mismatch.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; allowed are shares from 0 to 1, for example 0.2.")
    permutation = np.arange(len(keys), dtype=np.int64)
    count = int(np.floor(ratio * len(keys) + 0.5))
    if count < 2:
        return permutation
    chosen = np.argsort(hash_keys(keys, salt=f"swap/which/{seed}"), kind="stable")[:count]
    cycle = chosen[np.argsort(hash_keys([keys[i] for i in chosen], salt=f"swap/cycle/{seed}"), kind="stable")]
    permutation[cycle] = np.roll(cycle, -1)
    if captions is not None:
        _settle_equal_texts(permutation, cycle, np.unique(np.asarray(captions, dtype=object), return_inverse=True)[1])
    return permutation


def _settle_equal_texts(permutation: np.ndarray, cycle: np.ndarray, text: np.ndarray) -> None:
    """Exchange sources, in place, until no sample in the cycle gets a text equal to its own (`text`: ids [N])."""
    for position, sample in enumerate(cycle):
        if text[permutation[sample]] != text[sample]:
            continue
        others = np.concatenate([cycle[position + 1 :], cycle[:position]])
        fits = (text[permutation[others]] != text[sample]) & (text[permutation[sample]] != text[others])
        if not fits.any():
            raise ValueError("more than half of the chosen captions are equal, so they cannot all be mismatched.")
        other = others[np.argmax(fits)]
        permutation[[sample, other]] = permutation[[other, sample]]
