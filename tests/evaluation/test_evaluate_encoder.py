"""One white-box cell, end to end on a tiny task with an untrained encoder from its checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nml.artifacts import read_json
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.errors import UserError
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA
from nml.evaluation.evaluate_encoder import evaluate_encoder
from nml.grid import Encoder, encoder_dir
from nml.pretraining.control import initialise
from nml.tasks.task import open_task, read_split
from nml.tuning.whitebox.run import open_tuning
from nml.tuning.whitebox.views import PhotographViews

torch.set_num_threads(1)
ENCODER = Encoder.parse("tiny/resnet-mini/untrained/s0")
VALUES = {"learning_rate": 0.01, "weight_decay": 0.0, "epochs": 2, "batch_size": 4}
RECIPE = {"objective": "supervised", "architecture": "resnet-mini", "epochs": 2, "batch_size": 8, "learning_rate": 0.1}


@pytest.fixture
def here(tiny_corpus, tiny_task, tmp_path, monkeypatch) -> Path:
    """A folder to run in, which has an untrained encoder."""
    initialise(ENCODER, open_corpus("tiny"), Recipe(**RECIPE), tmp_path / encoder_dir(ENCODER))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("method", ["ft", "lora-nmtune"])
def test_a_cell_has_every_test_set_and_seed(here, method):
    run = open_tuning(str(ENCODER), "tiny-domains", method, VALUES, here / "progress", "code")
    result = evaluate_encoder(run, {0: 17, 1: 18}, ENCODER.identity())
    assert list(result.cells) == CELL_SCHEMA.names
    assert list(result.predictions) == PREDICTIONS_SCHEMA.names
    rows = set(zip(result.cells["test_set"], result.cells["group"], result.cells["seed"], strict=True))
    assert rows == {(test, group, seed) for test, group in (("test", "id"), ("test-far", "ood")) for seed in (0, 1)}
    assert set(result.cells["method"]) == {method}
    assert result.predictions["key"][:2] == ["test00", "test01"]
    right = np.equal(result.predictions["label"], result.predictions["prediction"])
    assert np.mean(right[:6]) == pytest.approx(result.cells["value"][0])
    about = json.loads(json.dumps(result.metadata))
    assert about["hyperparameters"]["precision"] == "fp32"
    assert about["trainable_parameters"] > 387
    assert about["wall_seconds"] == pytest.approx(sum(about["seed_seconds"].values()))
    assert 2**20 < about["process_peak_memory_bytes"] < 2**50
    assert [row["epoch"] for row in about["log"]["1"]] == [1, 2]
    assert 0 < about["spectra"]["test-far"]["dominant_ratio"] <= 1


def test_variants_and_fractions_have_their_rows(here):
    values = VALUES | {"method": "lora", "rank": 2}
    run = open_tuning(str(ENCODER), "tiny-domains", "lora-r2", values, here / "progress", "code")
    half = run.on(50)
    assert len(half.images.train.pixels) == len(half.images.train.labels) == 6
    assert run.on(100) is run
    result = evaluate_encoder(run, {0: 17}, ENCODER.identity(), [50, 100])
    assert set(result.cells["method"]) == {"lora-r2"}
    assert set(zip(result.predictions["fraction"], result.predictions["test_set"], strict=True)) == {
        (part, test) for part in (50, 100) for test in ("test", "test-far")
    }
    assert result.metadata["method"] == "lora"
    assert set(result.metadata["fractions"]) == {"50", "100"}
    alone = evaluate_encoder(run, {0: 17}, ENCODER.identity(), [50])
    assert alone.metadata["log"] == result.metadata["fractions"]["50"]["log"]


def test_photographs_are_tuned_on_as_the_encoder_takes_them(tiny_corpus, tiny_task, tmp_path, monkeypatch):
    how = {"size": 32, "test_crop": 0.9}
    recipe = Recipe(**RECIPE | {"architecture": "timm/test_vit", "image_transform": how})
    initialise(ENCODER, open_corpus("tiny"), recipe, tmp_path / encoder_dir(ENCODER))
    monkeypatch.chdir(tmp_path)
    values = VALUES | {"initial_head": "linear-probe", "micro_batch_size": 2}
    run = open_tuning(str(ENCODER), "tiny-domains", "lora-nmtune", values, tmp_path / "progress", "code")
    assert isinstance(run.views, PhotographViews)
    assert run.images.validation.pixels[0].shape == (32, 32, 3)
    result = evaluate_encoder(run, {0: 17}, ENCODER.identity())
    assert all(np.isfinite(result.cells["value"]))
    images = [image for _, image, _ in read_split(open_task("tiny-domains"), "val")]
    features = run.original.features(run.original.transform(images))
    (held,) = run.images.validation.batches(run.views)
    torch.testing.assert_close(run.original.features(held), features)


def test_another_task_or_code_is_not_resumed(here):
    def description(code: str) -> str:
        return open_tuning(str(ENCODER), "tiny-domains", "ft", VALUES, here / "progress", code).describe(0)

    before = description("code")
    assert description("code") == before != description("other")
    info = here / "tiny-domains" / "info.json"
    info.write_text(json.dumps(read_json(info) | {"name": "changed"}))
    assert description("code") != before


def test_wrong_hyperparameters_are_refused(here):
    with pytest.raises(UserError, match="targets is 'heads'; it must be one of auto, attention"):
        open_tuning(str(ENCODER), "tiny-domains", "lora", VALUES | {"targets": "heads"}, here, "code")
