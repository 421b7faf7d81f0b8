"""A finished run leaves the encoder, its log and what is known of it, and no progress file."""

import csv
import json

from nml.artifacts import sha256_file
from nml.devices import describe_device
from nml.pretraining.pretrain import pretrain
from nml.pretraining.run import Run


def test_a_finished_run_leaves_the_encoder_and_no_progress(corpus, noise_dirs, recipe, tmp_path):
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
    assert not progress.exists()
