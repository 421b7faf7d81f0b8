"""Caption swaps: exact in number, nobody keeps their own, nested in who is mismatched, a function of seed and key."""

import math
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nml.noise import swap

RATIOS = st.integers(0, 10**4).map(lambda number: number / 10**4)
SEEDS = st.integers(0, 2**32)
KEYS = st.lists(st.text(max_size=5), unique=True, max_size=60)
KNOWN = [0, 1, 2, 6, 3, 5, 7, 9, 8, 4]


def mismatched(ratio: float, total: int) -> int:
    count = math.floor(Fraction(str(ratio)) * total + Fraction(1, 2))
    return count if count > 1 else 0


@given(KEYS, RATIOS, SEEDS)
def test_exactly_the_asked_number_of_samples_gets_a_foreign_caption(keys: list[str], ratio: float, seed: int) -> None:
    source = swap(keys, ratio, seed)
    assert source.dtype == np.int64
    assert sorted(source.tolist()) == list(range(len(keys)))
    assert (source != np.arange(len(keys))).sum() == mismatched(ratio, len(keys))


@given(KEYS, RATIOS, SEEDS)
def test_the_captions_go_round_in_one_cycle(keys: list[str], ratio: float, seed: int) -> None:
    source = swap(keys, ratio, seed)
    moved = np.flatnonzero(source != np.arange(len(keys)))
    seen = set()
    here = int(moved[0]) if len(moved) else None
    while here is not None and here not in seen:
        seen.add(here)
        here = int(source[here])
    assert seen == set(moved.tolist())


@given(KEYS, RATIOS, RATIOS, SEEDS)
def test_who_is_mismatched_is_nested(keys: list[str], first: float, second: float, seed: int) -> None:
    own = np.arange(len(keys))
    few, many = (swap(keys, ratio, seed) != own for ratio in sorted((first, second)))
    assert (many | ~few).all()


@given(KEYS, RATIOS, SEEDS, st.randoms(), st.booleans())
def test_the_order_of_the_samples_does_not_matter(
    keys: list[str], ratio: float, seed: int, random: object, with_captions: bool
) -> None:
    captions = [f"caption {number // 2}" for number in range(len(keys))] if with_captions else None
    order = np.array(random.sample(range(len(keys)), len(keys)), dtype=np.int64)
    shuffled = [captions[i] for i in order] if captions else None
    try:
        expected = swap(keys, ratio, seed, captions)
    except ValueError:
        with pytest.raises(ValueError, match="receives it again"):
            swap([keys[i] for i in order], ratio, seed, shuffled)
        return
    assert (order[swap([keys[i] for i in order], ratio, seed, shuffled)] == expected[order]).all()


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), RATIOS, SEEDS)
def test_nobody_gets_a_text_equal_to_their_own(captions: list[str], ratio: float, seed: int) -> None:
    keys = [f"k{number}" for number in range(len(captions))]
    chosen = np.flatnonzero(swap(keys, ratio, seed) != np.arange(len(keys)))
    most = max(Counter(captions[i] for i in chosen).values(), default=0)
    if 2 * most > len(chosen):
        with pytest.raises(ValueError, match="it may be that of half of them at most"):
            swap(keys, ratio, seed, captions)
        return
    source = swap(keys, ratio, seed, captions)
    assert sorted(source.tolist()) == list(range(len(keys)))
    assert [i for i in range(len(keys)) if captions[source[i]] != captions[i]] == chosen.tolist()


def test_captions_that_all_differ_change_nothing() -> None:
    keys = [f"k{number}" for number in range(200)]
    assert (swap(keys, 0.3, 0) == swap(keys, 0.3, 0, captions=keys)).all()


def test_too_many_equal_captions_are_named_with_their_number() -> None:
    with pytest.raises(ValueError, match=r"'a cat' is that of 3 of the 4 samples to be mismatched.*another percent"):
        swap(["a", "b", "c", "d"], 1, 0, captions=["a cat", "a dog", "a cat", "a cat"])


def test_known_answer() -> None:
    assert swap([f"pair-{number}" for number in range(10)], 0.5, 0).tolist() == KNOWN


def test_another_process_draws_the_same() -> None:
    code = "from nml.noise import swap; print(swap([f'pair-{i}' for i in range(10)], 0.5, 0).tolist())"
    environment = {"PYTHONHASHSEED": "123"}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(KNOWN)


def test_other_seeds_mismatch_other_samples() -> None:
    keys = [f"k{number}" for number in range(3000)]
    first, second = (swap(keys, 0.3, seed) != np.arange(3000) for seed in (0, 1))
    assert 0.06 < (first & second).mean() < 0.12


def test_one_sample_cannot_be_mismatched() -> None:
    assert swap(["a"], 1, 0).tolist() == [0]
    assert swap(["a", "b", "c"], 0.3, 0).tolist() == [0, 1, 2]
    assert swap([], 0.5, 0).tolist() == []


@pytest.mark.parametrize("ratio", [-0.1, 1.1, 20])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        swap(["a", "b"], ratio, 0)
