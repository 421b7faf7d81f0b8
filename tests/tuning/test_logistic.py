"""Logistic regression: few evaluations, the same alone and in company, and the minimum of scikit-learn."""

import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from nml.tuning import logistic
from nml.tuning.data import Rows, TrainingSet
from nml.tuning.logistic import minimise


def gaussians(samples: int, dimensions: int, classes: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features [n, D] and labels [n] of Gaussian classes, whose centres are 3 apart in each dimension or so."""
    random = np.random.default_rng(0)
    labels = np.arange(samples) % classes
    features = 3 * random.normal(size=(classes, dimensions))[labels] + spread * random.normal(
        size=(samples, dimensions)
    )
    return torch.from_numpy(features.astype(np.float32)), torch.from_numpy(labels)


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one item with each evaluation of the objective."""
    counted, real = [], logistic._cross_entropy

    def counting(*arguments):
        counted.append(1)
        return real(*arguments)

    monkeypatch.setattr(logistic, "_cross_entropy", counting)
    return counted


def training_set(x: torch.Tensor, y: torch.Tensor, classes: int) -> TrainingSet:
    rows = Rows(x.numpy(), torch.device("cpu"))
    return TrainingSet(rows, torch.arange(len(y)), y, classes, len(y))


@pytest.mark.parametrize("size", [(1000, 20, 2), (60, 200, 5), (150, 12, 4)])
@pytest.mark.parametrize("strength", [1.0, 1e6, 1e9])
def test_separable_data_with_hardly_a_penalty_cost_few_evaluations(evaluations, caplog, size, strength):
    """The cross-entropy goes to zero there, and with it what a search in float32 can see, if it does not take care."""
    samples, _, classes = size
    x, y = gaussians(*size)
    with caplog.at_level(logging.WARNING, "nml"):
        weight, bias = minimise(training_set(x, y, classes), [1 / (strength * samples)])
    assert len(evaluations) < 300
    assert ((x @ weight[0] + bias[0]).argmax(dim=1) == y).all()
    assert not caplog.records


def test_the_objective_of_separable_data_is_known_to_many_digits():
    """Against autograd in float64, with values that leave a cross-entropy of 1e-7 and less."""
    x, y = gaussians(50, 6, 3)
    samples = training_set(x, y, 3)
    basis = logistic._basis(samples)
    values = minimise(samples, [1e-3])[0][0].T @ basis.vectors
    values = torch.cat([8 * values, torch.zeros(3, 1)], dim=1)
    loss, gradient = logistic._cross_entropy(samples, basis, values)
    exact = values.double().requires_grad_()
    rows = (x.double() - basis.mean.double()) @ basis.vectors.double()
    expected = functional.cross_entropy(rows @ exact[:, :-1].T + exact[:, -1], y)
    expected.backward()
    assert expected.item() < 1e-6
    assert loss == pytest.approx(expected.item(), rel=1e-3)
    torch.testing.assert_close(gradient.double(), exact.grad, rtol=1e-2, atol=1e-3 * float(exact.grad.abs().max()))


def test_a_search_that_ends_far_from_the_minimum_is_said(caplog, monkeypatch):
    monkeypatch.setattr(logistic, "LARGEST_ITERATIONS", 1)
    x, y = gaussians(150, 12, 4)
    with caplog.at_level(logging.WARNING, "nml"):
        weight, _ = minimise(training_set(x, y, 4), [1.0, 1e-8])
    assert torch.isfinite(weight).all()
    assert "an L2 penalty of 1e-08 did not converge" in caplog.text


def test_each_penalty_gets_what_it_gets_alone():
    samples, penalties = training_set(*gaussians(200, 10, 3, spread=4), 3), [1e-3, 1.0, 3e-6, 0.02]
    together = minimise(samples, penalties)
    for row, penalty in enumerate(penalties):
        alone = minimise(samples, [penalty])
        assert all(torch.equal(one[0], all_[row]) for one, all_ in zip(alone, together, strict=True))


def test_a_class_without_samples_is_never_predicted():
    x, y = gaussians(120, 8, 3)
    weight, bias = minimise(training_set(x, y, 5), [1e-3])
    assert weight.shape == (1, 8, 5)
    assert torch.isfinite(weight).all()
    assert torch.isfinite(bias).all()
    assert (x @ weight[0] + bias[0]).argmax(dim=1).max() < 3


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_two_classes_are_those_of_scikit_learn(strength):
    """It has one vector of slopes there: the difference of ours, with twice the penalty."""
    x, y = gaussians(300, 6, 2, spread=5)
    weight, bias = minimise(training_set(x, y, 2), [2 / (strength * len(x))])
    reference = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(x.double().numpy(), y.numpy())
    ours = (x @ (weight[0, :, 1] - weight[0, :, 0]) + bias[0, 0, 1] - bias[0, 0, 0]).numpy()
    np.testing.assert_allclose(ours, reference.decision_function(x.double().numpy()), rtol=0.02, atol=0.02)
