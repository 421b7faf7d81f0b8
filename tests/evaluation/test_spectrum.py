"""Spectra against SciPy, known answers, and what the definitions imply."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nml.errors import UserError
from nml.evaluation import largest_singular_value_ratio, singular_value_entropy, singular_values
from nml.evaluation.spectrum import dominant_ratio, fast_shape, mean_shapes


def random_features(samples: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, dimensions)).astype(np.float32)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_spectrum_agrees_with_scipy(samples, dimensions, seed):
    features = random_features(samples, dimensions, seed)
    expected = scipy.linalg.svdvals(features.astype(np.float64))
    sigma = singular_values(features)
    assert sigma.dtype == np.float64
    assert sigma.shape == (min(samples, dimensions),)
    np.testing.assert_allclose(sigma, expected, rtol=1e-9, atol=1e-12)
    assert singular_value_entropy(features) == pytest.approx(scipy.stats.entropy(expected), abs=1e-9)
    assert largest_singular_value_ratio(features) == pytest.approx(-np.log(expected[0] / expected.sum()), abs=1e-9)


@given(st.integers(2, 20), st.integers(2, 20), st.floats(1e-6, 1e6))
@settings(deadline=None)
def test_measures_are_bounded_and_free_of_scale(samples, dimensions, scale):
    features = random_features(samples, dimensions).astype(np.float64)
    for measure in (singular_value_entropy, largest_singular_value_ratio):
        assert 0 <= measure(features) <= np.log(min(samples, dimensions)) + 1e-12
        assert measure(scale * features) == pytest.approx(measure(features), rel=1e-9)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_gram_matrix_gives_the_same_shape(samples, dimensions, rank, seed):
    features = random_features(samples, rank, seed) @ random_features(rank, dimensions, seed + 1)
    found = fast_shape(features)
    assert found["sve"] == pytest.approx(singular_value_entropy(features), abs=1e-4)
    assert found["lsvr"] == pytest.approx(largest_singular_value_ratio(features), abs=1e-6)
    assert found["dominant_ratio"] == pytest.approx(dominant_ratio(singular_values(features)), rel=1e-6)


def test_the_mean_of_shapes_is_that_of_each_measure():
    heads = [{"near": {"sve": 1.0, "lsvr": 4.0}}, {"near": {"sve": 2.0, "lsvr": 0.0}}]
    assert mean_shapes(heads) == {"near": {"sve": 1.5, "lsvr": 2.0}}


def test_zero_features_have_no_shape_and_count_in_no_mean():
    nothing, something = fast_shape(np.zeros((4, 3))), fast_shape(random_features(4, 3))
    assert nothing == {}
    heads = [{"near": nothing, "far": nothing}, {"near": something, "far": nothing}]
    assert mean_shapes(heads) == {"near": something}


def test_small_singular_values_keep_their_digits():
    """Through the Gram matrix, everything below 1e-8 of the largest would be lost."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(n, 5)))[0] for n in (50, 20))
    sigma = np.array([1.0, 1e-3, 1e-6, 1e-9, 1e-11])
    np.testing.assert_allclose(singular_values(left * sigma @ right.T)[:5], sigma, rtol=1e-4)


def test_rank_one_has_no_entropy_and_one_dominant_value():
    features = np.outer(np.arange(1, 6), np.ones(4))
    assert singular_value_entropy(features) == pytest.approx(0, abs=1e-12)
    assert largest_singular_value_ratio(features) == pytest.approx(0, abs=1e-12)


def test_equal_singular_values_have_the_largest_entropy():
    assert singular_value_entropy(np.eye(7)) == pytest.approx(np.log(7))
    assert largest_singular_value_ratio(np.eye(7)) == pytest.approx(np.log(7))


def test_features_are_not_centred():
    features = random_features(40, 5) + 100
    assert largest_singular_value_ratio(features) < 0.1 < largest_singular_value_ratio(features - features.mean(axis=0))


@pytest.mark.parametrize("measure", [singular_value_entropy, largest_singular_value_ratio])
def test_features_without_a_spectrum_are_refused(measure):
    with pytest.raises(UserError, match="all features are zero"):
        measure(np.zeros((5, 3)))
    with pytest.raises(UserError, match="needed are finite values"):
        measure(np.full((5, 3), np.nan))
    with pytest.raises(UserError, match="needed are finite values"):
        measure(np.zeros((0, 3)))
