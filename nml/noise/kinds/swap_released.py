"""Caption swaps as the papers' authors released them: pairs drawn with replacement, so fewer are mismatched than asked.

The procedure of the first commit of the authors' repository (`open_clip/shuffle_data.py`): two different samples
exchange their texts, again and again, whoever was drawn before. There a number called noise_ratio counts exchanges, as
a share of the N samples; it stands at 0.025, and the file is named `noise_2.5`. Here the ratio counts the samples that
are drawn, two an exchange, as "percent of noise" is meant: `swap-released-5` makes as many exchanges as that file has.
A share of about 1 - exp(-ratio) ends up mismatched: 18.1 % at 20 %. The manifest records the realised share.
"""

from collections.abc import Sequence

import numpy as np

from nml.noise.kinds._counts import count_of
from nml.seeds import hash_keys

CORRUPTS = "captions"
DEFINITION = 1


def swap_released(keys: Sequence[str], ratio: float, seed: int, captions: Sequence[str] | None = None) -> np.ndarray:
    """Return, for each sample, the index of the sample whose caption it has after ratio * N / 2 random exchanges.

    The exchanges are numbered, and each is a hash of its number over the samples in the order of their hashed keys. So
    a higher ratio goes on where a lower one stopped; a sample may get its own caption back by chance.

    Parameters
    ----------
    keys : N unique sample keys
    ratio : share of samples drawn for an exchange, in [0, 1]; half as many exchanges, rounded, halves up
    seed : seed of the noise
    captions : not looked at: equal texts may be exchanged, as in the original

    Returns
    -------
    int64 permutation [N]

    Raises
    ------
    ValueError
        If the ratio is out of range.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; allowed are shares from 0 to 1, for example 0.2 for 20 %.")
    total = len(keys)
    exchanges = count_of(ratio / 2, total) if total > 1 else 0
    order = np.argsort(hash_keys(keys, salt=f"swap-released/order/{seed}"), kind="stable")
    source = order.tolist()
    for first, second in zip(*_draws(exchanges, total, seed), strict=True):
        source[first], source[second] = source[second], source[first]
    permutation = np.empty(total, dtype=np.int64)
    permutation[order] = source
    return permutation


def _draws(exchanges: int, total: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the two different places of each exchange."""
    if not exchanges:
        return [], []
    numbers = [str(number) for number in range(exchanges)]
    first = (hash_keys(numbers, salt=f"swap-released/first/{seed}") % np.uint64(total)).astype(np.int64)
    step = 1 + (hash_keys(numbers, salt=f"swap-released/step/{seed}") % np.uint64(total - 1)).astype(np.int64)
    return first.tolist(), ((first + step) % total).tolist()
