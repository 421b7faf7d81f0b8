"""The authors' downstream label noise: drawn from all classes, so a lower share is wrong than is drawn."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import chisquare

from nml.noise import symmetric_released
from tests.noise.test_symmetric import RATIOS, SEEDS, balanced, labelled, rounded


def naive(labels: np.ndarray, keys: list[str], num_classes: int, ratio: float, seed: int) -> list[int]:
    """Draw the first samples by one keyed hash, and give each a class by another."""

    def number(salt: str, key: str) -> int:
        digest = hashlib.blake2b(f"symmetric-released/{salt}/{seed}\0{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little")

    noisy = labels.tolist()
    drawn = sorted(range(len(keys)), key=lambda i: number("which", keys[i]))[: rounded(ratio, len(keys))]
    for i in drawn:
        noisy[i] = number("what", keys[i]) % num_classes
    return noisy


@given(labelled(), RATIOS, SEEDS)
def test_it_agrees_with_an_independent_implementation(data: tuple, ratio: float, seed: int) -> None:
    assert symmetric_released(*data, ratio, seed).tolist() == naive(*data, ratio, seed)


@given(labelled(), RATIOS, RATIOS, SEEDS)
def test_what_is_wrong_at_one_ratio_is_as_wrong_at_a_higher_one(
    data: tuple, first: float, second: float, seed: int
) -> None:
    few, many = (symmetric_released(*data, ratio, seed) for ratio in sorted((first, second)))
    wrong = few != data[0]
    assert (few[wrong] == many[wrong]).all()


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_the_wrong_share_is_the_ratio_without_the_true_class(ratio: float) -> None:
    labels, keys, num_classes = balanced(20_000, 10)
    share = (symmetric_released(labels, keys, num_classes, ratio, 0) != labels).mean()
    expected = ratio * (1 - 1 / num_classes)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / len(labels))


def test_new_labels_are_uniform_over_all_classes() -> None:
    labels, keys, num_classes = balanced(20_000, 8)
    assert chisquare(np.bincount(symmetric_released(labels, keys, num_classes, 1, 0))).pvalue > 0.01


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        symmetric_released(np.array([0, 1]), ["a", "b"], 2, 20, 0)
