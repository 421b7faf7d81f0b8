"""The losses against their definitions, written out with SVD, covariance and autograd in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from nml.tuning import losses

SHAPES = [(6, 4), (4, 6), (5, 5), (2, 9), (33, 3), (16, 64)]


def direct_consistency(features: Tensor, transformed: Tensor) -> Tensor:
    difference = functional.normalize(features, dim=-1) - functional.normalize(transformed, dim=-1)
    return difference.square().sum(-1).mean(-1)


def direct_covariance(transformed: Tensor) -> Tensor:
    matrix = torch.cov(transformed.T)
    return (matrix - torch.diag(matrix.diag())).square().sum() / transformed.shape[1]


def direct_dominant_singular_value(transformed: Tensor, k: int = 1) -> Tensor:
    sigma = torch.linalg.svdvals(transformed)
    return -(sigma / sigma.sum())[:k].mean()


def matrices(shape: tuple[int, int], heads: int = 1, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(heads, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def value_and_gradient(function, matrix: Tensor) -> tuple[Tensor, Tensor]:
    matrix = matrix.clone().requires_grad_()
    value = function(matrix)
    return value.detach(), torch.autograd.grad(value.sum(), matrix)[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 2])
def test_values_and_gradients_equal_the_definitions(shape, k):
    features = matrices(shape, seed=1)[0]
    pairs = [
        (lambda z: losses.consistency(features, z), lambda z: direct_consistency(features, z)),
        (losses.covariance, direct_covariance),
        (lambda z: losses.dominant_singular_value(z, k), lambda z: direct_dominant_singular_value(z, k)),
    ]
    for ours, direct in pairs:
        for found, expected in zip(
            value_and_gradient(ours, matrices(shape)[0]), value_and_gradient(direct, matrices(shape)[0]), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@given(st.integers(2, 24), st.integers(2, 24), st.integers(1, 6), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_equal_the_definitions_at_any_shape(samples, dimensions, k, seed):
    features, start = matrices((samples, dimensions), seed=seed)[0], matrices((samples, dimensions), seed=seed + 1)[0]
    factors = (0.5, 2.0, 3.0)

    def direct(z: Tensor) -> Tensor:
        first, second = direct_consistency(features, z), direct_covariance(z)
        third = direct_dominant_singular_value(z, min(k, *z.shape))
        return 0.1 * (factors[0] * first + factors[1] * second + factors[2] * third)

    found = value_and_gradient(lambda z: losses.nmtune(features, z, 0.1, k, factors), start)
    for ours, theirs in zip(found, value_and_gradient(direct, start), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_gradients_are_finite_for_every_rank(samples, dimensions, rank, seed):
    """Products of thin matrices with integer entries, so that rows repeat and vanish too."""
    random = torch.Generator().manual_seed(seed)
    left, right = (torch.randint(-1, 2, shape, generator=random) for shape in ((samples, rank), (rank, dimensions)))
    features = torch.randn(samples, dimensions, generator=random)
    value, gradient = value_and_gradient(lambda z: losses.nmtune(features, z, 1.0, 2), (left @ right).float())
    assert torch.isfinite(value) and torch.isfinite(gradient).all()


@given(st.integers(1, 12), st.integers(2, 12), st.integers(0, 2**31), st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_robust_losses_equal_their_definitions(samples, classes, seed, q):
    logits = 3 * matrices((samples, classes), seed=seed)[0]
    labels = torch.randint(classes, (samples,), generator=torch.Generator().manual_seed(seed))
    one_hot = functional.one_hot(labels, classes).double()

    def reverse(z: Tensor) -> Tensor:
        return -(z.softmax(-1) * one_hot.log().clamp(min=-4)).sum(-1).mean()

    pairs = [
        (
            lambda z: losses.generalised_cross_entropy(z, labels, q),
            lambda z: ((1 - z.softmax(-1).gather(1, labels[:, None]) ** q) / q).mean(),
        ),
        (lambda z: losses.reverse_cross_entropy(z, labels), reverse),
    ]
    for ours, direct in pairs:
        for found, expected in zip(value_and_gradient(ours, logits), value_and_gradient(direct, logits), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_robust_losses_of_hopeless_logits_are_finite():
    logits, labels = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]]), torch.tensor([[1], [1]])
    for loss in (
        lambda z: losses.generalised_cross_entropy(z, labels, 0.7),
        lambda z: losses.reverse_cross_entropy(z, labels),
    ):
        value, gradient = value_and_gradient(loss, logits)
        assert torch.isfinite(value).all() and torch.isfinite(gradient).all()
    assert losses.generalised_cross_entropy(logits, labels, torch.tensor([0.5, 0.5])).tolist() == [2.0, 0.0]
    assert losses.reverse_cross_entropy(logits, labels).tolist() == [4.0, 0.0]


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**31), st.floats(-3, 3))
@settings(max_examples=50, deadline=None)
def test_float32_agrees_with_the_definitions_at_every_scale(samples, dimensions, seed, exponent):
    exact = matrices((samples, dimensions), seed=seed)[0] * 10**exponent
    rough = exact.float()
    size = float(torch.cov(exact.T).square().sum() / dimensions)
    assert losses.covariance(rough) == pytest.approx(float(direct_covariance(exact)), rel=1e-4, abs=1e-5 * size)
    assert losses.dominant_singular_value(rough) == pytest.approx(
        float(direct_dominant_singular_value(exact)), rel=1e-5, abs=1e-5
    )


@pytest.mark.parametrize("shape", [(32, 48), (32, 32), (48, 32)])
def test_float32_gradient_keeps_directions_of_small_singular_values(shape):
    """Spectra of features fall over several decades; formed in float32, the squares would lose the tail."""
    decaying = matrices(shape)[0] * torch.logspace(0, -4, shape[1], dtype=torch.float64)
    expected = value_and_gradient(direct_dominant_singular_value, decaying)[1]
    found = value_and_gradient(losses.dominant_singular_value, decaying.float())[1].double()
    assert (found - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_gradients_pass_gradcheck(shape):
    features, transformed = matrices(shape, heads=2, seed=1), matrices(shape, heads=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: losses.consistency(features, z), transformed)
    assert torch.autograd.gradcheck(losses.covariance, transformed)
    assert torch.autograd.gradcheck(losses.dominant_singular_value, transformed)
    assert torch.autograd.gradcheck(lambda z: losses.nmtune(features, z, weight=0.5, k=2), transformed)


def test_leading_dimensions_are_independent_heads():
    features, transformed = matrices((5, 7), heads=6, seed=1), matrices((5, 7), heads=6)
    stacked = losses.nmtune(features.view(2, 3, 5, 7), transformed.view(2, 3, 5, 7))
    alone = torch.stack([losses.nmtune(f, z) for f, z in zip(features, transformed, strict=True)])
    assert stacked.shape == (2, 3)
    torch.testing.assert_close(stacked.flatten(), alone)


def test_nmtune_is_the_weighted_sum_of_the_three_terms():
    features, transformed = matrices((5, 7), seed=1)[0], matrices((5, 7))[0]
    terms = direct_consistency(features, transformed) + direct_covariance(transformed)
    expected = 0.01 * (terms + direct_dominant_singular_value(transformed))
    torch.testing.assert_close(losses.nmtune(features, transformed), expected)


def awkward(dtype: torch.dtype) -> dict[str, Tensor]:
    random = matrices((6, 9), dtype=dtype)[0]
    low_rank = (matrices((6, 2))[0] @ matrices((2, 9), seed=3)[0]).to(dtype)
    one_zero_row = random.clone()
    one_zero_row[2] = 0
    return {
        "rank 2": low_rank,
        "rank 2, more samples than dimensions": low_rank.T.contiguous(),
        "identical rows": random[:1].expand(6, 9).clone(),
        "zero": torch.zeros(6, 9, dtype=dtype),
        "no dimension differs": torch.ones(6, 9, dtype=dtype),
        "a zero row": one_zero_row,
        "one sample": random[:1],
        "one dimension": random[:, :1],
        "equal singular values": torch.eye(6, dtype=dtype),
        "tiny": random * 1e-12,
        "huge": random * 1e6,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", awkward(torch.float32))
@pytest.mark.parametrize("k", [1, 5])
def test_awkward_batches_have_finite_losses_and_gradients(name, dtype, k):
    transformed = awkward(dtype)[name]
    features = matrices(tuple(transformed.shape), seed=1, dtype=dtype)[0]
    value, gradient = value_and_gradient(lambda z: losses.nmtune(features, z, weight=1.0, k=k), transformed)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


def test_degenerate_batches_have_the_documented_values():
    zero, one = torch.zeros(4, 3), matrices((1, 3), dtype=torch.float32)[0]
    assert losses.dominant_singular_value(zero) == 0
    assert losses.covariance(zero) == 0
    assert losses.consistency(zero, zero) == 0
    assert losses.consistency(one.expand(4, 3), zero) == pytest.approx(1)
    assert losses.covariance(one) == 0
    assert losses.dominant_singular_value(one) == pytest.approx(-1)
    assert losses.dominant_singular_value(one.expand(4, 3)) == pytest.approx(-1)
    assert (value_and_gradient(losses.dominant_singular_value, zero)[1] == 0).all()
    assert (value_and_gradient(lambda z: losses.consistency(one, z), torch.zeros(1, 3))[1] == 0).all()


def test_a_head_that_left_the_numbers_does_not_end_the_others():
    heads = matrices((5, 7), heads=3, dtype=torch.float32)
    broken = heads.clone()
    broken[1, 2, 3] = float("nan")
    value, gradient = value_and_gradient(losses.dominant_singular_value, broken)
    expected, slopes = value_and_gradient(losses.dominant_singular_value, heads)
    assert torch.equal(value[[0, 2]], expected[[0, 2]]) and torch.equal(gradient[[0, 2]], slopes[[0, 2]])


def test_rank_deficient_spectrum_ignores_rounding_noise():
    low_rank = (matrices((64, 3))[0] @ matrices((3, 200), seed=1)[0]).float()
    value, gradient = value_and_gradient(losses.dominant_singular_value, low_rank)
    expected = direct_dominant_singular_value(low_rank.double())
    assert value == pytest.approx(float(expected), rel=1e-4)
    assert torch.linalg.matrix_norm(gradient, 2) < 2 / torch.linalg.svdvals(low_rank).sum()


def test_consistency_depends_on_directions_alone():
    features, transformed = matrices((5, 7), seed=1)[0], matrices((5, 7))[0]
    scales = matrices((5, 1), seed=2)[0].abs() + 0.1
    torch.testing.assert_close(
        losses.consistency(features, transformed), losses.consistency(features * scales, 3 * transformed)
    )
    assert losses.consistency(features, features * scales) == pytest.approx(0, abs=1e-12)
    assert losses.consistency(features, -features) == pytest.approx(4)


def test_k_beyond_the_number_of_singular_values_means_all_of_them():
    assert losses.dominant_singular_value(matrices((3, 5))[0], k=9) == pytest.approx(-1 / 3)


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        losses.dominant_singular_value(torch.eye(3), k=0)


def test_cross_entropy_equals_torch_per_head():
    logits = matrices((5, 4), heads=3, dtype=torch.float32)
    labels = torch.randint(4, (3, 5), generator=torch.Generator().manual_seed(0))
    expected = torch.stack([functional.cross_entropy(a, b) for a, b in zip(logits, labels, strict=True)])
    torch.testing.assert_close(losses.cross_entropy(logits, labels), expected)


@pytest.mark.parametrize(("samples", "classes"), [(1, 2), (5, 3), (16, 40)])
def test_the_gradient_of_the_cross_entropy_in_closed_form_is_that_of_autograd(samples, classes):
    logits = 3 * matrices((samples, classes), heads=4)
    labels = torch.randint(classes, (4, samples), generator=torch.Generator().manual_seed(1))
    _, expected = value_and_gradient(lambda z: losses.cross_entropy(z, labels), logits)
    torch.testing.assert_close(losses.cross_entropy_gradient(logits, labels), expected, rtol=1e-9, atol=1e-12)
