"""One encoder is trained by as many processes as the rule's `gpu` says, here on CPU."""

import pytest

from nml.artifacts import read_json

pytestmark = pytest.mark.workflow
ENCODER = "results/encoders/emoji/clip-smoke/swap-20/s0"


def test_the_resource_gpu_sets_the_number_of_processes(project):
    output = project.snakemake("--set-resources", "pretrain:gpu=2", "--", f"{ENCODER}/model.safetensors")
    assert output.count("emoji/clip-smoke/swap-20/s0  epoch 1: loss") == 1
    assert read_json(project.path / ENCODER / "meta.json")["epochs"] == 2
    log = (project.path / "results/logs/pretrain/emoji/clip-smoke/swap-20/s0.log").read_text()
    assert "epoch 1: loss" in log
    assert not list((project.path / "results/progress").rglob("*.safetensors"))
