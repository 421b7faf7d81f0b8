"""Tuning an encoder: what it learns, that frozen ones make it a linear probe, and that what is done stays done."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec
from nml.tuning.whitebox import training
from nml.tuning.whitebox.images import Images
from nml.tuning.whitebox.tune import tune
from tests.tuning.whitebox.examples import assert_same, make_encoder

NO_CHANGE = {"crop_scale": 1, "flip": False}


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


def test_seeds_are_their_own_and_repeat(run, tmp_path):
    tuning = run("ft")
    elsewhere = replace(tuning, progress_dir=tmp_path / "elsewhere")
    first = tune(tuning, seed=1)
    torch.rand(3)
    assert_same(first, tune(elsewhere, seed=1))
    assert not np.array_equal(first.tests["test"].features, tune(elsewhere, seed=2).tests["test"].features)


def test_a_finished_seed_is_not_tuned_again_and_one_of_another_description_is(run, monkeypatch):
    tuning = run("lora")
    first = tune(tuning, seed=2)
    monkeypatch.setattr("nml.tuning.whitebox.tune.train", None)
    again = tune(tuning, seed=2)
    assert_same(again, first)
    assert again.log == first.log
    with pytest.raises(TypeError, match="NoneType"):
        tune(replace(tuning, fingerprint="other data"), seed=2)


def test_the_progress_folder_is_all_that_is_written(run, tmp_path: Path):
    tune(run("lora"), seed=1)
    assert [path.name for path in (tmp_path / "progress").rglob("*") if path.is_file()] == ["result.safetensors"]


AWKWARD = {
    "all images are the same": (np.zeros(30, int), np.arange(30) % 3, 3),
    "a class has no sample": (np.arange(30), np.arange(30) % 2 * 2, 3),
    "every class has one sample": (np.arange(3), np.arange(3), 3),
    "there are a thousand classes": (np.arange(70) % 30, np.arange(70) * 14, 1000),
}


@pytest.mark.parametrize("method", ["ft-nmtune", "lora-nmtune"])
@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_tasks_give_finite_features_and_known_classes(run, method, case):
    rows, labels, classes = AWKWARD[case]
    tuning = run(method, batch_size=64)
    train = Images(tuning.images.train.pixels.chosen(rows), labels, [str(row) for row in range(len(rows))])
    tuned = tune(replace(tuning, images=replace(tuning.images, train=train, num_classes=classes)), seed=0)
    assert all(math.isfinite(row["loss"]) for row in tuned.log)
    for split in tuned.tests.values():
        assert np.isfinite(split.features).all()
        assert set(split.predictions) <= set(range(classes))


def test_a_compiled_encoder_is_tuned_as_the_plain_one(run, tmp_path, monkeypatch):
    """And is compiled for what an epoch does, not for every step."""
    compiled, graphs, at_epochs = torch.compile, [], []

    def backend(graph, inputs):
        # All of torch.compile but the code generator, which needs a C++ compiler.
        graphs.append(graph)
        return graph.forward

    def finish(*arguments):
        at_epochs.append(len(graphs))
        real(*arguments)

    real = training._finish_epoch
    monkeypatch.setattr(training, "_finish_epoch", finish)
    plain = tune(run("ft-nmtune", epochs=4), seed=1)
    monkeypatch.setattr(torch, "compile", lambda function: compiled(function, backend=backend))
    assert not graphs
    found = tune(replace(run("ft-nmtune", epochs=4, compile=True), progress_dir=tmp_path / "compiled"), seed=1)
    np.testing.assert_allclose([row["loss"] for row in found.log], [row["loss"] for row in plain.log], rtol=1e-4)
    np.testing.assert_allclose(found.tests["far"].features, plain.tests["far"].features, rtol=1e-3, atol=1e-3)
    assert 0 < at_epochs[5] == at_epochs[7]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("method", ["ft-nmtune", "lora-nmtune"])
def test_a_gpu_tunes_an_encoder_as_a_processor_does(run, method):
    """With what large encoders need there: bfloat16, compiled, a batch in parts."""
    # Little steps, and no norms over four images: rounding errors grow with both.
    how = {"learning_rate": 0.001, "micro_batch_size": 4, "batch_norm": "frozen"}
    on_gpu = tune(run(method, device="cuda", precision="bf16", compile=True, **how), seed=1)
    expected = tune(run(method, **how), seed=1)
    assert [row["loss"] for row in on_gpu.log] == pytest.approx([row["loss"] for row in expected.log], rel=0.05)
    assert on_gpu.trainable_parameters == expected.trainable_parameters
    assert on_gpu.tests["far"].features.dtype == np.float32
