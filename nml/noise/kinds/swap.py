"""Caption swaps: exactly the asked share of image-text pairs is mismatched.

The papers swap the texts of two random pairs until the ratio is reached (YFCC15M, CC12M). Swaps with replacement
mismatch fewer pairs than asked; here the chosen pairs pass their captions round in one random cycle, so that nobody
keeps their own.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nml.noise.columns import take
from nml.noise.kinds._counts import count_of
from nml.seeds import hash_keys

CORRUPTS = "captions"
DEFINITION = 1


def swap(keys: Sequence[str], ratio: float, seed: int, captions: Sequence[str] | None = None) -> np.ndarray:
    """Return, for each sample, the index of the sample whose caption it gets; ratio * N get a foreign one.

    Which samples are mismatched is a function of (seed, key), and nested: who is mismatched at one ratio is so at
    every higher one. The cycle itself closes elsewhere when it grows, and a conflict may be settled otherwise.

    Parameters
    ----------
    keys : N unique sample keys
    ratio : share of mismatched pairs, in [0, 1]; their number is rounded, halves up, and 1 counts as 0, because
        a single pair cannot be mismatched
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
        raise ValueError(f"ratio is {ratio}; allowed are shares from 0 to 1, for example 0.2 for 20 %.")
    permutation = np.arange(len(keys), dtype=np.int64)
    count = count_of(ratio, len(keys))
    if count < 2:
        return permutation
    chosen = np.argsort(hash_keys(keys, salt=f"swap/which/{seed}"), kind="stable")[:count]
    cycle = chosen[np.argsort(hash_keys(take(keys, chosen), salt=f"swap/cycle/{seed}"), kind="stable")]
    permutation[cycle] = np.roll(cycle, -1)
    if captions is not None:
        text = _text_ids(captions, cycle)
        _require_enough_texts(captions, cycle, text)
        _settle_equal_texts(permutation, cycle, text)
    return permutation


def _text_ids(captions: Sequence[str], cycle: np.ndarray) -> np.ndarray:
    """Return a number for each sample in the cycle, the same for equal texts and for no others; ints [c]."""
    texts = take(captions, cycle)
    encoded = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else pa.array(texts)
    return encoded.dictionary_encode().indices.to_numpy()


def _require_enough_texts(captions: Sequence[str], cycle: np.ndarray, text: np.ndarray) -> None:
    counts = np.bincount(text)
    if 2 * counts.max() > len(cycle):
        most = str(captions[int(cycle[np.argmax(text == counts.argmax())])])
        raise ValueError(
            f"the caption {most!r} is that of {counts.max()} of the {len(cycle)} samples to be mismatched; it may be "
            "that of half of them at most, or somebody receives it again. Choose another percent, or give the corpus "
            "more captions that differ."
        )


def _settle_equal_texts(permutation: np.ndarray, cycle: np.ndarray, text: np.ndarray) -> None:
    """Exchange sources, in place, until no sample in the cycle gets a text equal to its own (`text`: ids [c]).

    There always is somebody to exchange with: of the c - 1 others, those who have or receive a text that m <= c / 2 of
    the chosen have are 2 (m - 1) at most. Others are tried in the order of the cycle, most often one or two of them.
    """
    count = len(cycle)
    # Places in the cycle; at first each receives from the next.
    source = (np.arange(count) + 1) % count
    for place in np.flatnonzero(text[source] == text):
        if text[source[place]] != text[place]:
            continue
        for step in range(1, count):
            other = (place + step) % count
            if text[source[other]] != text[place] and text[source[place]] != text[other]:
                source[[place, other]] = source[[other, place]]
                break
    permutation[cycle] = cycle[source]
