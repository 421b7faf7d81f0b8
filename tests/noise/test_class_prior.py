"""Noise by the class prior: exact in number, as frequent as the classes are, nested, a function of seed and key."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nml.noise import class_prior

RATIOS = st.integers(0, 10**4).map(lambda number: number / 10**4)
SEEDS = st.integers(0, 2**32)
SIZES = [600, 100, 0, 300]


def of_sizes(sizes: list[int]) -> tuple[np.ndarray, list[str], int]:
    return np.repeat(np.arange(len(sizes)), sizes), [f"k{row}" for row in range(sum(sizes))], len(sizes)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), RATIOS, SEEDS)
def test_exactly_the_asked_share_of_each_class_is_wrong(sizes: list[int], ratio: float, seed: int) -> None:
    labels, keys, num_classes = of_sizes(sizes)
    noisy = class_prior(labels, keys, num_classes, ratio, seed)
    wrong = np.bincount(labels[noisy != labels], minlength=num_classes)
    assert wrong.tolist() == [math.floor(Fraction(str(ratio)) * size + Fraction(1, 2)) for size in sizes]
    assert ((noisy >= 0) & (noisy < num_classes)).all()


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), RATIOS, RATIOS, SEEDS)
def test_ratios_are_nested(sizes: list[int], first: float, second: float, seed: int) -> None:
    low, high = sorted((first, second))
    few, many = (class_prior(*of_sizes(sizes), ratio, seed) for ratio in (low, high))
    wrong = few != of_sizes(sizes)[0]
    assert (few[wrong] == many[wrong]).all()


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), RATIOS, SEEDS, st.randoms())
def test_the_order_of_the_samples_does_not_matter(sizes: list[int], ratio: float, seed: int, random: object) -> None:
    labels, keys, num_classes = of_sizes(sizes)
    order = list(range(len(keys)))
    random.shuffle(order)
    permuted = class_prior(labels[order], [keys[row] for row in order], num_classes, ratio, seed)
    assert (permuted == class_prior(labels, keys, num_classes, ratio, seed)[order]).all()


def test_wrong_labels_are_as_frequent_as_the_other_classes() -> None:
    labels, keys, num_classes = of_sizes([20 * size for size in SIZES])
    noisy = class_prior(labels, keys, num_classes, 0.5, 1)
    for label in (0, 1, 3):
        drawn = np.bincount(noisy[(labels == label) & (noisy != label)], minlength=num_classes)
        others = [size if other != label else 0 for other, size in enumerate(SIZES)]
        possible = [other for other, size in enumerate(others) if size]
        expected = np.array(others)[possible] * drawn.sum() / sum(others)
        assert drawn.sum() == drawn[possible].sum(), "neither the true class nor an empty one is drawn"
        assert chisquare(drawn[possible], expected).pvalue > 0.01


def test_a_corpus_of_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="all labels are of one class"):
        class_prior(*of_sizes([5, 0]), 0.5, 0)
