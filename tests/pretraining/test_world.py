"""Two processes train as one would with their batches together."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nml.config.recipes import Augmentation
from nml.pretraining import validation
from nml.pretraining.world import ALONE
from tests.pretraining import two_processes

STILL = Augmentation(min_scale=1, flip=False)


@pytest.mark.parametrize(("objective", "noise"), [("supervised", "symmetric-20"), ("contrastive", "swap-20")])
def test_two_processes_have_gradients_and_accuracy_of_one_with_the_whole_batch(
    corpus, noise_dirs, recipe, tmp_path, monkeypatch, objective, noise
):
    # 60 samples in 4 batches of 15: the processes have parts of unequal size.
    made = recipe(objective, batch_size=15, gradient_clip=1e9, augmentation=STILL)
    job = {
        "shards": {split: [str(shard.path) for shard in shards] for split, shards in corpus.shards.items()},
        "classes": corpus.class_names,
        "noise": str(noise_dirs[noise]),
        "recipe": made.model_dump(),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["--log-dir", os.devnull]
    subprocess.run([*torchrun, two_processes.__file__, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    read, gradients = two_processes.one_step(corpus, noise_dirs[noise], made, ALONE)
    parts = [json.loads((tmp_path / f"read-{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(part) for part in parts] == [32, 28]
    assert Counter(parts[0] + parts[1]) == Counter(read)
    for micro in two_processes.MICRO_BATCHES:
        together = load_file(tmp_path / f"gradients-{micro}.safetensors")
        assert together.keys() == gradients.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(together[name], gradient, rtol=1e-4, atol=1e-6)
    accuracies = {json.loads((tmp_path / f"accuracy-{rank}.json").read_text()) for rank in (0, 1)}
    monkeypatch.setattr(validation, "BATCH_SIZE", 5)
    alike = replace(corpus, templates=["{}"])
    assert accuracies == {two_processes.validated(alike, noise_dirs[noise], made, ALONE)}
