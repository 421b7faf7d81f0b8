"""An encoder is trained by one process or by several, and what fails is said."""

import logging

import pytest
from safetensors.torch import load_file

from nml.artifacts import read_json, write_json
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.errors import UserError
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining.engine import Run
from nml.pretraining.launch import launch


@pytest.fixture(scope="module")
def emoji_noise(tmp_path_factory):
    """The overlay of a noise on the embedded corpus, which processes find by its name."""
    root = tmp_path_factory.mktemp("emoji")
    index_corpus(open_corpus("emoji"), root / "index")
    inject_noise(root / "index", Noise("swap", 20), 0, root / "noise")
    return root / "noise"


def test_two_processes_leave_one_encoder_and_one_log(emoji_noise, recipe, tmp_path):
    made = recipe("contrastive", epochs=1, batch_size=512, warmup_epochs=0)
    run = Run("an encoder", open_corpus("emoji"), emoji_noise, made, "clip-mini", 0, tmp_path / "progress", "code")
    launch(run, tmp_path / "encoder", threads=2, processes=2, log=tmp_path / "job.log")
    assert read_json(tmp_path / "encoder/meta.json")["epochs"] == 1
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "encoder/model.safetensors").values())
    assert (tmp_path / "job.log").read_text().count("an encoder  epoch 1: loss") == 1
    assert not (tmp_path / "progress").exists()


def test_what_fails_in_a_process_is_said(emoji_noise, recipe, tmp_path, caplog):
    made = recipe("contrastive", epochs=1)
    run = Run(
        "an encoder", open_corpus("emoji"), tmp_path / "noise", made, "clip-mini", 0, tmp_path / "progress", "code"
    )
    manifest = read_json(emoji_noise / "manifest.json")
    manifest["shards"]["emoji-train-00.tar.gz"]["bytes"] = 7
    write_json(tmp_path / "noise/manifest.json", manifest)
    with caplog.at_level(logging.ERROR), pytest.raises(UserError, match="one of the 2 processes failed"):
        launch(run, tmp_path / "encoder", threads=2, processes=2, log=tmp_path / "job.log")
    assert "emoji-train-00.tar.gz has" in (tmp_path / "job.log").read_text()
    assert not (tmp_path / "encoder").exists()
