"""Symmetric label noise: exact in number, nested, and a function of seed and key alone."""

import hashlib
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from cleanlab.benchmarking.noise_generation import generate_noisy_labels
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from nml.noise import symmetric

RATIOS = st.integers(0, 10**4).map(lambda number: number / 10**4)
SEEDS = st.integers(0, 2**32)
KNOWN = [1, 1, 0, 0, 2, 2, 2, 0, 2, 0, 1, 1]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, list[str], int]:
    num_classes = draw(st.integers(2, 6))
    labels = draw(st.lists(st.integers(0, num_classes - 1), max_size=60))
    prefix = draw(st.text(max_size=3))
    return np.array(labels, dtype=np.int64), [f"{prefix}{number}" for number in range(len(labels))], num_classes


def balanced(count: int, num_classes: int) -> tuple[np.ndarray, list[str], int]:
    return np.arange(count) % num_classes, [f"image-{number}" for number in range(count)], num_classes


def rounded(ratio: float, total: int) -> int:
    return math.floor(Fraction(str(ratio)) * total + Fraction(1, 2))


def naive(labels: np.ndarray, keys: list[str], num_classes: int, ratio: float, seed: int) -> list[int]:
    """Sort each class by a keyed hash, one sample at a time, and move the first of them by another hash."""

    def number(salt: str, key: str) -> int:
        digest = hashlib.blake2b(f"symmetric/{salt}/{seed}\0{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little")

    noisy = labels.tolist()
    for label in range(num_classes):
        own = sorted((i for i in range(len(keys)) if labels[i] == label), key=lambda i: number("which", keys[i]))
        for i in own[: rounded(ratio, len(own))]:
            others = [(label + step) % num_classes for step in range(1, num_classes)]
            noisy[i] = others[number("where", keys[i]) % len(others)]
    return noisy


@given(labelled(), RATIOS, SEEDS)
def test_exactly_the_asked_share_of_each_class_is_wrong(data: tuple, ratio: float, seed: int) -> None:
    labels, keys, num_classes = data
    noisy = symmetric(labels, keys, num_classes, ratio, seed)
    assert noisy.dtype == np.int64
    assert ((noisy >= 0) & (noisy < num_classes)).all()
    for label in range(num_classes):
        own = labels == label
        assert (noisy[own] != label).sum() == rounded(ratio, int(own.sum()))


@given(labelled(), RATIOS, RATIOS, SEEDS)
def test_ratios_are_nested(data: tuple, first: float, second: float, seed: int) -> None:
    low, high = sorted((first, second))
    few, many = (symmetric(*data, ratio, seed) for ratio in (low, high))
    wrong = few != data[0]
    assert (few[wrong] == many[wrong]).all()


@given(labelled(), RATIOS, SEEDS, st.randoms())
def test_the_order_of_the_samples_does_not_matter(data: tuple, ratio: float, seed: int, random: object) -> None:
    labels, keys, num_classes = data
    order = list(range(len(keys)))
    random.shuffle(order)
    permuted = symmetric(labels[order], [keys[i] for i in order], num_classes, ratio, seed)
    assert (permuted == symmetric(labels, keys, num_classes, ratio, seed)[order]).all()


@given(labelled(), RATIOS, SEEDS)
def test_it_agrees_with_an_independent_implementation(data: tuple, ratio: float, seed: int) -> None:
    assert symmetric(*data, ratio, seed).tolist() == naive(*data, ratio, seed)


def test_known_answer() -> None:
    assert symmetric(*balanced(12, 3), 0.4, 0).tolist() == KNOWN


def test_another_process_draws_the_same() -> None:
    code = (
        "import numpy as np; from nml.noise import symmetric; "
        "print(symmetric(np.arange(12) % 3, [f'image-{i}' for i in range(12)], 3, 0.4, 0).tolist())"
    )
    environment = {"PYTHONHASHSEED": "123"}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(KNOWN)


def test_ratio_0_changes_nothing_and_ratio_1_everything() -> None:
    labels = balanced(60, 3)[0]
    assert (symmetric(*balanced(60, 3), 0, 0) == labels).all()
    assert (symmetric(*balanced(60, 3), 1, 0) != labels).all()


def test_other_seeds_corrupt_other_samples_in_other_ways() -> None:
    labels = balanced(3000, 10)[0]
    first, second = (symmetric(*balanced(3000, 10), 0.3, seed) for seed in (0, 1))
    both = (first != labels) & (second != labels)
    assert 0.06 < both.mean() < 0.12
    assert 0.05 < (first == second)[both].mean() < 0.2


def test_wrong_labels_are_uniform_over_the_other_classes() -> None:
    labels, keys, num_classes = balanced(20_000, 8)
    noisy = symmetric(labels, keys, num_classes, 0.5, 7)
    wrong = noisy != labels
    steps = np.bincount((noisy - labels)[wrong] % num_classes, minlength=num_classes)
    assert steps[0] == 0
    assert chisquare(steps[1:]).pvalue > 0.01
    assert (
        chisquare(np.bincount(noisy[wrong & (labels == 3)], minlength=num_classes)[[0, 1, 2, 4, 5, 6, 7]]).pvalue > 0.01
    )


@pytest.mark.parametrize(
    ("labels", "keys", "num_classes", "ratio", "message"),
    [
        ([0, 1], ["a"], 2, 0.5, "2 labels but 1 keys"),
        ([0, 0], ["a", "b"], 1, 0.5, "at least 2 classes"),
        ([0, 1], ["a", "b"], 2, 20, "shares from 0 to 1"),
        ([0, 1], ["a", "b"], 2, -0.1, "shares from 0 to 1"),
        ([0, 2], ["a", "b"], 2, 0.5, "allowed are 0 to 1"),
        ([-1, 1], ["a", "b"], 2, 0.5, "allowed are 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused(
    labels: list[int], keys: list[str], num_classes: int, ratio: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        symmetric(np.array(labels), keys, num_classes, ratio, 0)


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.5])
def test_the_transitions_are_distributed_as_cleanlab_draws_them(ratio: float) -> None:
    classes, samples = 20, 100_000
    random = np.random.default_rng(0)
    labels = np.sort(random.choice(classes, samples, p=random.dirichlet(np.full(classes, 9.0))))
    matrix = np.full((classes, classes), ratio / (classes - 1))
    np.fill_diagonal(matrix, 1 - ratio)
    np.random.seed(0)
    theirs = transitions(labels, generate_noisy_labels(labels, matrix), classes)
    ours = transitions(labels, symmetric(labels, [f"{row:06d}" for row in range(samples)], classes, ratio, 0), classes)
    # cleanlab rounds the number of each transition down and draws only who makes it; ours are drawn around that.
    wrong = ~np.eye(classes, dtype=bool)
    ours, theirs = (table[wrong].reshape(classes, classes - 1) for table in (ours, theirs))
    assert (ours.sum(1) - theirs.sum(1) >= 0).all()
    assert (ours.sum(1) - theirs.sum(1) < classes).all()
    expected = theirs * ours.sum(1, keepdims=True) / theirs.sum(1, keepdims=True)
    low, high = chi2.interval(0.999, classes * (classes - 2))
    assert low < ((ours - expected) ** 2 / expected).sum() < high


def transitions(clean: np.ndarray, noisy: np.ndarray, classes: int) -> np.ndarray:
    """Count the samples by clean and noisy label; [classes, classes]."""
    return np.bincount(clean * classes + noisy, minlength=classes**2).reshape(classes, classes)
