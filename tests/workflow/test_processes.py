"""One encoder is trained by as many processes as the rule's `gpu` says, here on CPU, and fed by a loader's workers."""

import pytest
import yaml

from nml.artifacts import read_json

pytestmark = pytest.mark.workflow
ENCODER = "results/encoders/emoji/clip-smoke/swap-20/s0"


def test_the_resource_gpu_sets_the_number_of_processes(small_project):
    output = small_project.snakemake("--set-resources", "pretrain:gpu=2", "--", f"{ENCODER}/model.safetensors")
    assert output.count("emoji/clip-smoke/swap-20/s0  epoch 1: loss") == 1
    assert read_json(small_project.path / ENCODER / "meta.json")["epochs"] == 2
    log = (small_project.path / "results/logs/pretrain/emoji/clip-smoke/swap-20/s0.log").read_text()
    assert "epoch 1: loss" in log
    assert not list((small_project.path / "results/progress").rglob("*.safetensors"))


def test_a_training_whose_images_are_read_by_workers_ends(small_project):
    preset = small_project.path / "presets/smoke.yaml"
    values = yaml.safe_load(preset.read_text())
    values["recipes"]["resnet-smoke"] |= {"epochs": 1, "warmup_epochs": 0, "image_transform": {"size": 32}}
    preset.write_text(yaml.safe_dump(values))
    encoder = "results/encoders/emoji/resnet-smoke/clean/s0"
    output = small_project.snakemake("--set-threads", "pretrain=2", "--", f"{encoder}/model.safetensors")
    assert "emoji/resnet-smoke/clean/s0  epoch 1: loss" in output
    assert "waiting for an earlier run" not in output
