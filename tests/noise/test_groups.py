"""Noise inside groups of classes: exact in number, never across groups, nested, a function of seed and key alone."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nml.noise import asymmetric, hierarchical

KINDS = pytest.mark.parametrize("kind", [asymmetric, hierarchical])
RATIOS = st.integers(0, 10**4).map(lambda number: number / 10**4)
SEEDS = st.integers(0, 2**32)
# Of two samples a class, in order: both of the pets 0 and 2 and of the cars 4 and 5 that change stay among themselves.
KNOWN = [2, 1, 0, 3, 4, 5, 6, 7, 0, 1, 2, 3, 5, 4, 6, 7]
GROUPS = ["pets", "pets", "pets", "", "cars", "cars", "alone", ""]


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, list[str], list[str]]:
    groups = draw(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=2, max_size=7))
    labels = draw(st.lists(st.integers(0, len(groups) - 1), max_size=60))
    return np.array(labels, dtype=np.int64), [f"k{number}" for number in range(len(labels))], groups


def rounded(ratio: float, total: int) -> int:
    return math.floor(Fraction(str(ratio)) * total + Fraction(1, 2))


def fellows(groups: list[str], label: int) -> set[int]:
    return {other for other in range(len(groups)) if groups[label] and groups[other] == groups[label]} - {label}


@KINDS
@given(grouped(), RATIOS, SEEDS)
def test_exactly_the_asked_share_of_the_groups_is_wrong_and_stays_in_its_group(
    kind: Callable, data: tuple, ratio: float, seed: int
) -> None:
    labels, keys, groups = data
    noisy = kind(labels, keys, groups, ratio, seed, of="group")
    able = sum(bool(fellows(groups, label)) for label in labels)
    wrong = np.flatnonzero(noisy != labels)
    assert noisy.dtype == np.int64
    assert len(wrong) == rounded(ratio, able)
    assert all(noisy[row] in fellows(groups, labels[row]) for row in wrong)


@KINDS
@given(grouped(), RATIOS, SEEDS)
def test_a_share_of_the_corpus_is_exact_or_refused(kind: Callable, data: tuple, ratio: float, seed: int) -> None:
    labels, keys, groups = data
    able, count = sum(bool(fellows(groups, label)) for label in labels), rounded(ratio, len(labels))
    if count > able:
        with pytest.raises(ValueError, match=f"samples are {count}, and only {able} are in a group"):
            kind(labels, keys, groups, ratio, seed)
        return
    assert (kind(labels, keys, groups, ratio, seed) != labels).sum() == count


@KINDS
@given(grouped(), RATIOS, RATIOS, SEEDS)
def test_ratios_are_nested(kind: Callable, data: tuple, first: float, second: float, seed: int) -> None:
    low, high = sorted((first, second))
    few, many = (kind(*data, ratio, seed, of="group") for ratio in (low, high))
    wrong = few != data[0]
    assert (few[wrong] == many[wrong]).all()


@KINDS
@given(grouped(), RATIOS, SEEDS, st.randoms())
def test_the_order_of_the_samples_does_not_matter(
    kind: Callable, data: tuple, ratio: float, seed: int, random: object
) -> None:
    labels, keys, groups = data
    order = list(range(len(keys)))
    random.shuffle(order)
    permuted = kind(labels[order], [keys[i] for i in order], groups, ratio, seed, of="group")
    assert (permuted == kind(labels, keys, groups, ratio, seed, of="group")[order]).all()


@KINDS
@given(st.integers(1, 99), SEEDS)
def test_each_class_has_the_same_share_up_to_one_sample(kind: Callable, percent: int, seed: int) -> None:
    labels = np.repeat(np.arange(8), [40, 7, 13, 50, 21, 30, 9, 3])
    noisy = kind(labels, [str(row) for row in range(len(labels))], GROUPS, percent / 100, seed, of="group")
    sizes = np.bincount(labels)
    wrong = np.bincount(labels[noisy != labels], minlength=8)
    for label in range(8):
        expected = sizes[label] * percent / 100 if fellows(GROUPS, label) else 0
        assert abs(wrong[label] - expected) <= 1


@KINDS
def test_wrong_labels_are_uniform_over_the_other_classes_of_the_group(kind: Callable) -> None:
    groups = ["a", "b"] * 5
    labels = np.arange(20_000) % 10
    noisy = kind(labels, [f"k{row}" for row in range(20_000)], groups, 0.5, 3)
    seen = np.bincount(noisy[(labels == 4) & (noisy != 4)], minlength=10)
    assert seen[1::2].sum() == 0
    assert chisquare(seen[[0, 2, 6, 8]]).pvalue > 0.01


@KINDS
def test_other_seeds_corrupt_other_samples(kind: Callable) -> None:
    labels, keys = np.arange(3000) % 5, [f"k{row}" for row in range(3000)]
    first, second = (kind(labels, keys, ["a"] * 5, 0.3, seed) != labels for seed in (0, 1))
    assert 0.06 < (first & second).mean() < 0.12


def test_the_kinds_draw_independently() -> None:
    labels, keys = np.arange(3000) % 5, [f"k{row}" for row in range(3000)]
    first, second = (kind(labels, keys, ["a"] * 5, 0.3, 0) != labels for kind in (asymmetric, hierarchical))
    assert 0.06 < (first & second).mean() < 0.12


def test_known_answer() -> None:
    labels = np.arange(16) % 8
    keys = [f"image-{row}" for row in range(16)]
    assert asymmetric(labels, keys, GROUPS, 0.25, 0).tolist() == KNOWN


@KINDS
@pytest.mark.parametrize(
    ("groups", "ratio", "of", "message"),
    [
        (["a", "a"], 20, "corpus", "shares from 0 to 1"),
        (["a"], 0.5, "corpus", "at least 2 classes"),
        (["a", "a"], 0.5, "class", "one of corpus, group"),
        (["a", "b"], 0.5, "corpus", "only 0 are in a group of two classes"),
    ],
)
def test_wrong_arguments_are_refused(kind: Callable, groups: list[str], ratio: float, of: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(np.array([0, 0]), ["a", "b"], groups, ratio, 0, of=of)
