"""Fractions of a training split: stratified, nested, and a function of labels and keys alone."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nml.tasks.fractions import fraction_indices

PERCENTS = st.integers(1, 10**4).map(lambda number: number / 100)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, list[str]]:
    labels = draw(st.lists(st.integers(0, 5), max_size=80))
    prefix = draw(st.text(max_size=3))
    return np.array(labels, dtype=np.int64), [f"{prefix}{number}" for number in range(len(labels))]


def naive(labels: np.ndarray, keys: list[str], percent: float) -> list[int]:
    """Sort each class by a hash of the key, one sample at a time, and keep its first part."""

    def number(key: str) -> int:
        return int.from_bytes(hashlib.blake2b(f"fraction\0{key}".encode(), digest_size=8).digest(), "little")

    kept = []
    for label in set(labels.tolist()):
        own = sorted((i for i in range(len(keys)) if labels[i] == label), key=lambda i: number(keys[i]))
        kept += own[: max(1, math.floor(Fraction(str(percent)) * len(own) / 100))]
    return sorted(kept)


@given(labelled(), PERCENTS)
def test_every_class_keeps_its_share_and_at_least_one(data: tuple, percent: float) -> None:
    labels, keys = data
    kept = labels[fraction_indices(labels, keys, percent)]
    for label in set(labels.tolist()):
        size = int((labels == label).sum())
        assert (kept == label).sum() == max(1, math.floor(Fraction(str(percent)) * size / 100))


@given(labelled(), PERCENTS, PERCENTS)
def test_smaller_parts_lie_in_larger_ones(data: tuple, first: float, second: float) -> None:
    few, many = (set(fraction_indices(*data, percent).tolist()) for percent in sorted((first, second)))
    assert few <= many


@given(labelled(), PERCENTS, st.randoms())
def test_the_order_of_the_samples_makes_no_difference(data: tuple, percent: float, random: object) -> None:
    labels, keys = data
    order = list(range(len(keys)))
    random.shuffle(order)
    shuffled = fraction_indices(labels[order], [keys[i] for i in order], percent)
    assert {order[i] for i in shuffled.tolist()} == set(fraction_indices(labels, keys, percent).tolist())


@given(labelled(), PERCENTS)
def test_it_agrees_with_an_independent_implementation(data: tuple, percent: float) -> None:
    assert fraction_indices(*data, percent).tolist() == naive(*data, percent)


@given(labelled())
def test_all_of_it_is_all_of_it(data: tuple) -> None:
    assert fraction_indices(*data, 100).tolist() == list(range(len(data[1])))


def test_decimal_percents_count_as_they_are_written() -> None:
    labels, keys = np.zeros(100, dtype=np.int64), [f"k{number}" for number in range(100)]
    assert [len(fraction_indices(labels, keys, percent)) for percent in (29, 57, 0.5, 12.5)] == [29, 57, 1, 12]


def test_known_answer() -> None:
    labels, keys = np.arange(24) % 3, [f"image-{number}" for number in range(24)]
    assert fraction_indices(labels, keys, 25).tolist() == [1, 2, 6, 9, 16, 20]


@pytest.mark.parametrize("percent", [0, -1, 101, float("nan")])
def test_a_percent_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="above 0, up to 100"):
        fraction_indices(np.array([0]), ["a"], percent)


def test_one_key_a_label() -> None:
    with pytest.raises(ValueError, match="2 labels but 1 keys"):
        fraction_indices(np.array([0, 1]), ["a"], 50)
