"""Numbers that are not finite end a run with words that help, and are never kept."""

from dataclasses import replace

import pytest
import torch

from nml.errors import UserError
from nml.pretraining.checkpoints import load_tensors
from nml.tuning.whitebox import training
from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.predict import predict
from nml.tuning.whitebox.tune import tune
from tests.tuning.whitebox.examples import assert_same


def test_a_loss_that_is_not_finite_ends_the_run(run):
    words = r"ft timm-resnet: the loss became .* step 2 of 4. Lower methods.ft.learning_rate \(now 1e\+30\)"
    with pytest.raises(UserError, match=words):
        tune(run("ft", learning_rate=1e30), seed=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_a_gradient_that_is_not_finite_ends_the_run_and_the_last_good_state_stays(run, tmp_path, monkeypatch, bad):
    """The loss is as it was. Once the cause is gone, the run goes on as if nothing had been."""
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)
    tuning = replace(run("lora"), progress_dir=tmp_path / "broken")
    backward, steps = training.backward, []

    def breaking(run, network, images, labels):
        loss = backward(run, network, images, labels)
        steps.append(loss)
        if len(steps) == 7:
            network.trained[0].grad.view(-1)[0] = bad
        return loss

    with monkeypatch.context() as patch, pytest.raises(UserError, match="norm of the gradient became") as caught:
        patch.setattr(training, "backward", breaking)
        tune(tuning, seed=2)
    (state,) = (tmp_path / "broken").rglob("state.safetensors")
    for words in ("lora timm-resnet", "epoch 2, step 3 of 4", "methods.lora.learning_rate (now 0.01)", str(state)):
        assert words in str(caught.value)
    tensors, header = load_tensors(state)
    assert (header["epoch"], header["step"]) == (1, 2)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert_same(tune(tuning, seed=2), tune(replace(tuning, progress_dir=tmp_path / "whole"), seed=2))


def test_weights_that_are_not_finite_are_not_kept(run):
    """A single step of infinite length, after a loss and a gradient that are finite."""
    tuning = run("lora", learning_rate=1e39, batch_size=64, epochs=1)
    with pytest.raises(UserError, match=r"got values that are not finite in epoch 1, step 1 of 1.*No state was kept"):
        tune(tuning, seed=0)
    assert not list(tuning.progress_dir.rglob("*.safetensors"))


def test_features_that_are_not_finite_are_no_predictions(run):
    tuning = run("ft", precision="bf16")
    network = Network(tuning, seed=0)
    with torch.no_grad():
        network.trained[0].fill_(float("inf"))
    with pytest.raises(UserError, match=r"features that are not finite.*methods.ft.learning_rate"):
        predict(tuning, network, tuning.images.validation)
