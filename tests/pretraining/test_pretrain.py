"""A finished run leaves the encoder, its log and what is known of it, and its last state, to write them again."""

import csv
import json
import shutil

import pytest

from nml.artifacts import sha256_file
from nml.devices import describe_device
from nml.errors import UserError
from nml.pretraining import checkpoints, engine
from nml.pretraining.engine import train
from nml.pretraining.pretrain import pretrain
from nml.pretraining.run import Run
from tests.full_disk import no_space


def test_a_finished_run_leaves_the_encoder_and_can_write_it_again(corpus, noise_dirs, recipe, tmp_path, monkeypatch):
    made = recipe("supervised", epochs=2)
    progress = tmp_path / "progress"
    run = Run("colours/x/symmetric-20/s0", corpus, noise_dirs["symmetric-20"], made, "x", 0, progress, "code")
    pretrain(run, tmp_path / "encoder")
    meta = json.loads((tmp_path / "encoder/meta.json").read_text())
    assert meta["address"] == "colours/x/symmetric-20/s0"
    assert meta["realised_noise_percent"] == 20
    assert meta["epochs"] == 2
    assert meta["device"] == describe_device()
    assert meta["checkpoint_sha256"] == sha256_file(tmp_path / "encoder/model.safetensors")
    rows = list(csv.DictReader((tmp_path / "encoder/log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["validation_accuracy"]) == meta["validation_accuracy"]
    # As if Snakemake had deleted them, because the job was killed after it had written them.
    written = {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}
    shutil.rmtree(tmp_path / "encoder")
    monkeypatch.setattr(engine, "train_step", lambda *_: pytest.fail("it trained again"))
    pretrain(run, tmp_path / "encoder")
    assert {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()} == written


def test_a_full_disk_is_named_and_leaves_the_state_to_write_the_encoder_from(run, tmp_path, monkeypatch):
    job = run(epochs=1)
    train(job)
    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match=f"no space is left to write to {tmp_path / 'encoder'}"),
    ):
        patch.setattr(checkpoints, "save_file", no_space)
        pretrain(job, tmp_path / "encoder")
    monkeypatch.setattr(engine, "train_step", lambda *_: pytest.fail("it trained again"))
    pretrain(job, tmp_path / "encoder")
    assert (tmp_path / "encoder/model.safetensors").is_file()
