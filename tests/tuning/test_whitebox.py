"""Tuning an encoder: what learns, what stays, and that a resumed run ends with the same bits."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nml.errors import UserError
from nml.preemption import EXIT_CODE
from nml.pretraining.checkpoints import load_tensors, read_header
from nml.tuning import registry, whitebox
from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec
from nml.tuning.views import views_for
from nml.tuning.whitebox import EncoderBatch, Network, Tuning, backward, predict, tune
from tests.interrupted import exit_code_of
from tests.tuning.encoders import SQUASH, make_encoder, make_images

NO_CHANGE = {"crop_scale": 1, "flip": False}


@pytest.fixture
def run(tmp_path):
    """Return a function that describes a short tuning of a method, with any value changed."""

    def make(method: str = "ft", family: str = "timm-resnet", samples: int = 30, **changes) -> Tuning:
        common = {"learning_rate": 0.01, "weight_decay": 0.01, "epochs": 2, "batch_size": 8}
        own = {key: changes.pop(key) for key in list(changes) if key not in common}
        return Tuning(
            label=f"{method} {family}",
            name=method,
            method=method,
            **(common | changes),
            parameters=registry.complete(method, own),
            open_encoder=lambda: make_encoder(family),
            images=make_images(tmp_path / "images", samples),
            views=views_for(SQUASH, own.get("crop_scale", 0.8), own.get("flip", True), torch.device("cpu")),
            progress_dir=tmp_path / "progress",
        )

    return make


def assert_same(one, other) -> None:
    assert (one.epoch, one.validation_accuracy) == (other.epoch, other.validation_accuracy)
    for name, split in one.tests.items():
        np.testing.assert_array_equal(split.predictions, other.tests[name].predictions)
        np.testing.assert_array_equal(split.features, other.tests[name].features)


@pytest.mark.parametrize("method", ["ft", "lora", "ft-nmtune", "lora-nmtune"])
def test_every_method_learns_the_colours(run, method):
    tuned = tune(run(method, epochs=5, samples=60), seed=3)
    assert tuned.validation_accuracy == 1
    assert tuned.log[-1]["loss"] < 0.5 * tuned.log[0]["loss"]
    assert tuned.tests["far"].predictions.shape == (9,)
    assert tuned.tests["far"].features.shape == (9, 16)


@pytest.mark.parametrize(
    ("method", "changes"), [("ft", {"encoder_rate": 0}), ("lora", {"rank": 0}), ("lora", {"alpha": 0})]
)
def test_with_a_frozen_encoder_it_is_the_linear_probe(run, method, changes):
    tuning = run(method, **changes, **NO_CHANGE, batch_norm="frozen", epochs=4)
    tuned = tune(tuning, seed=5)
    network, images = make_encoder("timm-resnet"), tuning.images
    features = {
        name: torch.cat([network.features(part) for part in split.batches(tuning.views)]).numpy()
        for name, split in (("train", images.train), ("val", images.validation), *images.tests.items())
    }
    spec = HeadSpec("lp", 5, 0.01, 0.01, 4, 8)
    data = (features["train"], images.train.labels, features["val"], images.validation.labels, 3)
    heads = fit(*data, [spec])
    np.testing.assert_allclose(tuned.tests["far"].features, features["far"], rtol=1e-6)
    for name, split in tuned.tests.items():
        np.testing.assert_array_equal(split.predictions, heads.predict(features[name])[0])
    assert tuned.epoch == heads.epochs[0]
    assert tuned.validation_accuracy == heads.validation_accuracies[0]


@pytest.mark.parametrize("plain", ["ft", "lora"])
@pytest.mark.parametrize("weights", [{"weight": 0}, {"consistency": 0, "covariance": 0, "dominant_singular_value": 0}])
def test_without_weights_the_regularised_method_is_the_plain_one(run, plain, weights):
    assert_same(tune(run(f"{plain}-nmtune", **weights), seed=1), tune(run(plain), seed=1))


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


def test_predictions_are_taken_among_the_classes_that_are_allowed(run):
    tuning = run("lora")
    free = tune(tuning, seed=0).tests
    images = replace(tuning.images, allowed={"far": [2, 0]})
    bound = tune(replace(tuning, images=images, fingerprint="bound"), seed=0).tests
    assert set(bound["far"].predictions) <= {0, 2}
    np.testing.assert_array_equal(bound["far"].features, free["far"].features)
    np.testing.assert_array_equal(bound["test"].predictions, free["test"].predictions)


def test_a_last_batch_of_one_image_is_no_trouble(run):
    assert math.isfinite(tune(run("ft", samples=17), seed=0).log[-1]["loss"])


@pytest.mark.parametrize("method", ["ft", "lora-nmtune"])
@pytest.mark.parametrize("stop", [2, 5])
def test_a_resumed_run_ends_with_the_same_bits(run, tmp_path, monkeypatch, method, stop):
    monkeypatch.setattr(whitebox, "CHECKPOINT_STEPS", 2)
    whole = tune(replace(run(method, epochs=3), progress_dir=tmp_path / "whole"), seed=2)
    steps = []

    def dying(*arguments):
        if len(steps) == stop:
            raise KeyboardInterrupt
        steps.append(1)
        return step(*arguments)

    step = whitebox._train_step
    tuning = replace(run(method, epochs=3), progress_dir=tmp_path / "killed")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(whitebox, "_train_step", dying)
        tune(tuning, seed=2)
    assert list((tmp_path / "killed").rglob("state.safetensors"))
    assert_same(tune(tuning, seed=2), whole)


def tune_until(moment, folder: Path) -> None:
    """Tune in a process of its own; the moment comes with the third step."""
    torch.set_num_threads(1)
    step, calls = whitebox._train_step, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            moment()
        return step(*arguments)

    whitebox._train_step = counted
    tune(colours(folder), seed=2)


def colours(folder: Path) -> Tuning:
    return Tuning(
        *("ft", "ft", "ft", 0.01, 0.01, 2, 8, registry.complete("ft", {})),
        open_encoder=lambda: make_encoder("timm-resnet"),
        images=make_images(folder / "images"),
        views=views_for(SQUASH, 0.8, True, torch.device("cpu")),
        progress_dir=folder / "progress",
    )


def test_asked_to_stop_it_saves_its_state_and_goes_on_with_the_same_bits(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert exit_code_of(tune_until, tmp_path) == EXIT_CODE
    (state,) = (tmp_path / "progress").rglob("*.safetensors")
    assert read_header(state)["step"] == 3
    resumed = tune(colours(tmp_path), seed=2)
    assert_same(resumed, tune(replace(colours(tmp_path), progress_dir=tmp_path / "calm"), seed=2))
    torch.set_num_threads(before)


def test_a_finished_seed_is_not_tuned_again_and_one_of_another_description_is(run, monkeypatch):
    tuning = run("lora")
    first = tune(tuning, seed=2)
    monkeypatch.setattr(whitebox, "_train", None)
    again = tune(tuning, seed=2)
    assert_same(again, first)
    assert again.log == first.log
    with pytest.raises(TypeError, match="NoneType"):
        tune(replace(tuning, fingerprint="other data"), seed=2)


def test_a_damaged_state_is_passed_over(run):
    tuning = run("lora")
    folder = tuning.progress_dir / "100-2"
    folder.mkdir(parents=True)
    (folder / "state.safetensors").write_bytes(b"half a file")
    assert tune(tuning, seed=2).epoch >= 1


def test_adapters_alone_are_saved(run, monkeypatch):
    monkeypatch.setattr(whitebox, "_result", None)
    tuning = run("lora")
    with pytest.raises(TypeError):
        tune(tuning, seed=2)
    tensors, _ = load_tensors(next(tuning.progress_dir.rglob("state.safetensors")))
    assert all("lora_" in name or "head." in name for name in tensors if name.startswith("model."))


def test_seeds_are_their_own_and_repeat(run, tmp_path):
    tuning = run("ft")
    elsewhere = replace(tuning, progress_dir=tmp_path / "elsewhere")
    first = tune(tuning, seed=1)
    torch.rand(3)
    assert_same(first, tune(elsewhere, seed=1))
    assert not np.array_equal(first.tests["test"].features, tune(elsewhere, seed=2).tests["test"].features)


def test_a_head_may_start_from_the_linear_probe(run):
    tuning = run("ft", initial_head="linear-probe", family="resnet-mini")
    probed, random = Network(tuning, seed=1), Network(run("ft", family="resnet-mini"), seed=1)
    train = tuning.images.train
    right = [(predict(tuning, network, train)[0] == train.labels).mean() for network in (probed, random)]
    assert right[0] > max(0.9, right[1])


def test_a_loss_that_is_not_finite_ends_the_run(run):
    with pytest.raises(UserError, match=r"the loss became .* methods.ft.learning_rate \(now 1e\+30\)"):
        tune(run("ft", learning_rate=1e30), seed=0)


def test_bfloat16_rounds_the_features_and_keeps_the_weights(run):
    tuning = run("ft", precision="bf16", batch_norm="frozen")
    rounded, exact = Network(tuning, seed=0), Network(run("ft", batch_norm="frozen"), seed=0)
    images = torch.randn(4, 3, 32, 32)
    error = (rounded.encode(images) - exact.encode(images)).norm() / exact.encode(images).norm()
    assert 1e-5 < error < 0.05
    assert math.isfinite(backward(tuning, rounded, images, torch.tensor([0, 1, 2, 0])))
    assert {tensor.dtype for tensor in [rounded.encode(images), *rounded.trained, *rounded.head]} == {torch.float32}


def test_the_progress_folder_is_all_that_is_written(run, tmp_path: Path):
    tune(run("lora"), seed=1)
    assert [path.name for path in (tmp_path / "progress").rglob("*") if path.is_file()] == ["result.safetensors"]
