"""The gradient of a method's loss, of a whole batch or in parts."""

import pytest
import torch

from nml.tuning import registry
from nml.tuning.whitebox.gradients import EncoderBatch, backward
from nml.tuning.whitebox.network import Network


def test_the_regularisers_are_those_of_the_features(run):
    images, labels = torch.randn(6, 3, 32, 32), torch.arange(6) % 3
    paper = run("ft-nmtune", weight=0.5, batch_norm="frozen")
    network = Network(paper, seed=0)
    with torch.no_grad():
        network.trained[0].mul_(1.5)
        z, f = network.encode(images), paper.original.features(images)
        z64, f64 = z.double(), f.double()
        mse = (f64 / f64.norm(dim=1, keepdim=True) - z64 / z64.norm(dim=1, keepdim=True)).square().sum(1).mean()
        c = torch.cov(z64.T)
        cov = (c.square().sum() - c.diag().square().sum()) / z.shape[1]
        sigma = torch.linalg.svdvals(z64)
        entropy = torch.nn.functional.cross_entropy(network.logits(z).double(), labels)
        loss = {"paper": entropy + 0.5 * (mse + cov - sigma[0] / sigma.sum())}
        loss["released"] = entropy + 0.04 * cov - 0.001 * (sigma[:5] / sigma.sum()).mean()
    assert backward(paper, network, images, labels) == pytest.approx(float(loss["paper"]), rel=1e-4)
    factors = {"consistency": 0, "covariance": 0.04, "dominant_singular_value": 0.001}
    released = run("ft-nmtune", weight=1, k=5, batch_norm="frozen", **factors)
    assert backward(released, network, images, labels) == pytest.approx(float(loss["released"]), rel=1e-4)


def test_without_the_consistency_term_the_original_encoder_does_not_run():
    def original():
        raise AssertionError("it ran")

    features, labels = torch.randn(4, 5), torch.arange(4) % 3
    batch = EncoderBatch(original, features, torch.randn(4, 3), labels)
    parameters = registry.complete("ft-nmtune", {"consistency": 0})
    assert registry.load("ft-nmtune").loss(batch, parameters).shape == (1,)


@pytest.mark.parametrize("method", ["ft-nmtune", "lora", "ft"])
def test_micro_batches_give_the_gradient_of_the_whole_batch(run, method):
    images, labels = torch.randn(7, 3, 32, 32), torch.arange(7) % 3
    gradients = []
    for size in (0, 3, 1):
        regularisers = {"weight": 10} if method == "ft-nmtune" else {}
        tuning = run(method, **regularisers, micro_batch_size=size, batch_norm="frozen")
        network = Network(tuning, seed=0)
        with torch.no_grad():
            # Adapters begin at zero, where half of their gradients are.
            for parameter in network.trained:
                parameter.add_(0.01)
        loss = backward(tuning, network, images, labels)
        gradients.append((loss, [p.grad for p in [*network.trained, *network.head]]))
    for loss, found in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], rel=1e-5)
        for gradient, expected in zip(found, gradients[0][1], strict=True):
            assert (gradient - expected).norm() <= 1e-4 * expected.norm() + 1e-7


def test_micro_batches_move_running_statistics_once(run):
    images, labels = torch.randn(4, 3, 32, 32), torch.arange(4) % 3
    tuning = run("ft", micro_batch_size=2)
    by_hand, network = Network(tuning, seed=0), Network(tuning, seed=0)
    for part in images.split(2):
        by_hand.encode(part, training=True)
    backward(tuning, network, images, labels)
    names = [name for name in network.state_dict() if "running" in name]
    assert names
    for name in names:
        torch.testing.assert_close(network.state_dict()[name], by_hand.state_dict()[name])
