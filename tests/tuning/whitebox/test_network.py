"""An encoder under tuning: what of it learns, and what it starts from."""

import errno
import math

import pytest
import torch

from nml.errors import UserError
from nml.tuning.whitebox.gradients import backward
from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.predict import predict


@pytest.mark.parametrize(("method", "parts"), [("lora", {"lora_", "head."}), ("ft", {"encoder.", "head."})])
def test_only_what_is_tuned_gets_gradients(run, method, parts):
    tuning = run(method, family="clip-mini")
    network = Network(tuning, seed=0)
    backward(tuning, network, torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
    with_gradient = {name for name, p in network.encoder.module.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in network.encoder.module.named_parameters() if p.requires_grad}
    # The text tower makes no features.
    assert with_gradient
    assert all(name.startswith("visual.") for name in with_gradient)
    trained = [name for name in network.state_dict() if "running" not in name and "num_batches" not in name]
    assert all(any(part in name for part in parts) for name in trained)
    assert network.trainable_parameters == sum(p.numel() for p in [*network.trained, network.weight, network.bias])


@pytest.mark.parametrize("mode", ["frozen", "trained"])
def test_batch_norms_move_only_when_they_are_trained(run, mode):
    tuning = run("ft", batch_norm=mode)
    network = Network(tuning, seed=0)
    before = network.encoder.module.bn1.running_mean.clone()
    backward(tuning, network, torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
    assert torch.equal(network.encoder.module.bn1.running_mean, before) == (mode == "frozen")
    before = network.encoder.module.bn1.running_mean.clone()
    predict(tuning, network, tuning.images.validation)
    assert torch.equal(network.encoder.module.bn1.running_mean, before)


def test_a_head_may_start_from_the_linear_probe(run):
    tuning = run("ft", initial_head="linear-probe", family="resnet-mini")
    probed, random = Network(tuning, seed=1), Network(run("ft", family="resnet-mini"), seed=1)
    train = tuning.images.train
    right = [(predict(tuning, network, train)[0] == train.labels).mean() for network in (probed, random)]
    assert right[0] > max(0.9, right[1])


def test_frozen_features_are_computed_once_for_all_seeds(run, monkeypatch):
    tuning = run("ft", initial_head="linear-probe")
    Network(tuning, seed=1)
    files = {file: file.read_bytes() for file in (tuning.progress_dir / "probe").iterdir()}
    assert len(files) == 2
    monkeypatch.setattr(type(tuning), "original", property(lambda _: pytest.fail("the encoder ran again")))
    monkeypatch.setattr("nml.tuning.whitebox.network._device", lambda _: torch.device("cpu"))
    Network(tuning, seed=2)
    assert {file: file.read_bytes() for file in files} == files


def test_a_full_disk_is_named_when_frozen_features_are_written(run, monkeypatch):
    tuning = run("ft", initial_head="linear-probe")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(type(tuning.images.train), "batches", full)
    with pytest.raises(UserError, match=r"no space is left to write to .*probe"):
        Network(tuning, seed=1)
    assert not list((tuning.progress_dir / "probe").iterdir())


def test_bfloat16_rounds_the_features_and_keeps_the_weights(run):
    tuning = run("ft", precision="bf16", batch_norm="frozen")
    rounded, exact = Network(tuning, seed=0), Network(run("ft", batch_norm="frozen"), seed=0)
    images = torch.randn(4, 3, 32, 32)
    error = (rounded.encode(images) - exact.encode(images)).norm() / exact.encode(images).norm()
    assert 1e-5 < error < 0.05
    assert math.isfinite(backward(tuning, rounded, images, torch.tensor([0, 1, 2, 0])))
    assert {tensor.dtype for tensor in [rounded.encode(images), *rounded.trained, *rounded.head]} == {torch.float32}
