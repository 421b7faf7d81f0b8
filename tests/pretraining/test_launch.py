"""An encoder is trained by one process or by several, and what fails is said."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nml.artifacts import read_json, write_json
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.errors import UserError
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining.launch import launch
from nml.pretraining.run import Run
from tests.small_corpus import copy_corpus


@pytest.fixture(scope="module")
def emoji_noise(tmp_path_factory):
    """The overlay of a noise on some of the embedded corpus, which processes find by name where they are started."""
    root = tmp_path_factory.mktemp("emoji")
    copy_corpus(root, shards=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        index_corpus(open_corpus("emoji"), root / "index")
        inject_noise(root / "index", Noise("swap", 20), 0, root / "noise")
        yield root / "noise"


@pytest.fixture(scope="module")
def run(emoji_noise, recipe, tmp_path_factory):
    """A short training."""
    made = recipe("contrastive", epochs=1, batch_size=512, warmup_epochs=0)
    progress = tmp_path_factory.mktemp("run") / "progress"
    return Run("an encoder", open_corpus("emoji"), emoji_noise, made, "clip-mini", 0, progress, "code")


@pytest.fixture(scope="module")
def of_two_processes(run, tmp_path_factory):
    """A folder with the encoder, the log, and the temporary files that two processes of one machine leave."""
    root = tmp_path_factory.mktemp("of-two")
    (root / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(root / "temporary"))
        launch(run, root / "encoder", threads=2, processes=2, log=root / "job.log")
    return root


def test_two_processes_leave_one_encoder_and_one_log(of_two_processes, run):
    assert read_json(of_two_processes / "encoder/meta.json")["epochs"] == 1
    assert all(tensor.isfinite().all() for tensor in load_file(of_two_processes / "encoder/model.safetensors").values())
    assert (of_two_processes / "job.log").read_text().count("an encoder  epoch 1: loss") == 1


def test_several_processes_leave_no_temporary_files(of_two_processes):
    assert list((of_two_processes / "temporary").iterdir()) == []


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


# Python runs a file of this name at its start.
SECOND_FAILS = """
import os
if os.environ.get("RANK") == "1":
    from nml.pretraining import engine
    def fail(*_):
        raise RuntimeError("only the second process fails")
    engine.train_step = fail
"""


def test_what_fails_in_the_second_process_alone_is_said(run, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(SECOND_FAILS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    job = replace(run, progress_dir=tmp_path / "progress")
    with pytest.raises(UserError, match="one of the 2 processes failed"):
        launch(job, tmp_path / "encoder", threads=2, processes=2, log=tmp_path / "job.log")
    log = (tmp_path / "job.log").read_text()
    assert "process 1: the training failed\nTraceback" in log
    assert "RuntimeError: only the second process fails" in log
    assert not (tmp_path / "encoder").exists()


# What `srun` does on a cluster (tests/workflow/test_slurm.py has a real one): the same command once a node.
TWO_NODES = """#!/bin/sh
test "$1 $2 $3 $4 $5 $6" = "--nodes 2 --ntasks 2 --ntasks-per-node 1" || exit 2
test "$7 $8 $9" = "--cpus-per-task 1 --kill-on-bad-exit=1" || exit 2
shift 9
"$@" & first=$!
"$@" & second=$!
wait $first && wait $second
"""


def test_processes_of_two_nodes_train_the_same_encoder(run, of_two_processes, tmp_path):
    starter = tmp_path / "two-nodes"
    starter.write_text(TWO_NODES)
    starter.chmod(0o755)
    run = replace(run, progress_dir=tmp_path / "progress")
    launch(run, tmp_path / "encoder", threads=1, processes=2, log=tmp_path / "job.log", nodes=2, starter=str(starter))
    of_one_node, of_two_nodes = (load_file(root / "encoder/model.safetensors") for root in (of_two_processes, tmp_path))
    assert all(of_two_nodes[name].equal(tensor) for name, tensor in of_one_node.items())
    assert (tmp_path / "job.log").read_text().count("an encoder  epoch 1: loss") == 1


def test_processes_that_nodes_cannot_share_out_evenly_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="3 GPUs cannot be shared out evenly to 2 nodes"):
        launch(run, tmp_path / "encoder", threads=1, processes=3, log=tmp_path / "job.log", nodes=2)
