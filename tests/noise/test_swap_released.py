"""The authors' caption swaps: exchanges with replacement, so a lower share is mismatched than is drawn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nml.noise import swap_released

RATIOS = st.integers(0, 10**4).map(lambda number: number / 10**4)
SEEDS = st.integers(0, 2**32)
KEYS = st.lists(st.text(max_size=5), unique=True, max_size=40)


@given(KEYS, RATIOS, SEEDS)
def test_it_is_a_permutation(keys: list[str], ratio: float, seed: int) -> None:
    assert sorted(swap_released(keys, ratio, seed).tolist()) == list(range(len(keys)))


@given(KEYS, RATIOS, SEEDS, st.randoms())
def test_the_order_of_the_samples_does_not_matter(keys: list[str], ratio: float, seed: int, random: object) -> None:
    order = np.array(random.sample(range(len(keys)), len(keys)), dtype=np.int64)
    expected = swap_released(keys, ratio, seed)
    assert (order[swap_released([keys[row] for row in order], ratio, seed)] == expected[order]).all()


@pytest.mark.parametrize("ratio", [0.05, 0.1, 0.2, 0.3])
def test_the_mismatched_share_is_about_one_minus_exp_of_the_ratio(ratio: float) -> None:
    total = 20_000
    share = (swap_released([f"k{row}" for row in range(total)], ratio, 0) != np.arange(total)).mean()
    expected = 1 - math.exp(-ratio)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / total)
    assert share < ratio


def test_a_higher_ratio_goes_on_where_a_lower_one_stopped() -> None:
    keys = [f"k{row}" for row in range(1000)]
    low, high = (swap_released(keys, ratio, 0) for ratio in (0.1, 0.102))
    assert (low != high).sum() == 2, "one more exchange"


def test_one_sample_has_nobody_to_exchange_with() -> None:
    assert swap_released(["a"], 1, 0).tolist() == [0]
    assert swap_released([], 0.5, 0).tolist() == []


def test_other_seeds_mismatch_other_samples() -> None:
    keys = [f"k{row}" for row in range(3000)]
    first, second = (swap_released(keys, 0.3, seed) != np.arange(3000) for seed in (0, 1))
    assert 0.04 < (first & second).mean() < 0.1


@pytest.mark.parametrize("ratio", [-0.1, 1.1, 20])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        swap_released(["a", "b"], ratio, 0)
