"""The training of a network stops where it must, and resumes with the same bits."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nml.preemption import EXIT_CODE, Preempted, stoppable
from nml.pretraining.checkpoints import read_header
from nml.tuning import registry
from nml.tuning.whitebox import training
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.tune import tune
from nml.tuning.whitebox.views import views_for
from tests.interrupted import exit_code_of
from tests.tuning.whitebox.examples import SQUASH, assert_same, make_encoder, make_images


@pytest.mark.parametrize("method", ["ft", "lora-nmtune"])
@pytest.mark.parametrize("stop", [2, 5])
def test_a_resumed_run_ends_with_the_same_bits(run, tmp_path, monkeypatch, method, stop):
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)
    whole = tune(replace(run(method, epochs=3), progress_dir=tmp_path / "whole"), seed=2)
    steps = []

    def dying(*arguments):
        if len(steps) == stop:
            raise KeyboardInterrupt
        steps.append(1)
        return step(*arguments)

    step = training._train_step
    tuning = replace(run(method, epochs=3), progress_dir=tmp_path / "killed")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "_train_step", dying)
        tune(tuning, seed=2)
    assert list((tmp_path / "killed").rglob("state.safetensors"))
    assert_same(tune(tuning, seed=2), whole)


def tune_until(moment, folder: Path) -> None:
    """Tune in a process of its own; the moment comes with the third step."""
    torch.set_num_threads(1)
    step, calls = training._train_step, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            moment()
        return step(*arguments)

    training._train_step = counted
    tune(colours(folder), seed=2)


def colours(folder: Path) -> Tuning:
    return Tuning(
        *("ft", "ft", "ft", 0.01, 0.01, 2, 8, registry.complete("ft", {})),
        open_encoder=lambda: make_encoder("timm-resnet"),
        images=make_images(folder / "images"),
        views=views_for(SQUASH, 0.8, True, torch.device("cpu")),
        progress_dir=folder / "progress",
    )


def test_asked_to_stop_during_the_validation_it_takes_no_step_more(tmp_path, monkeypatch):
    real = training.predict

    def stopping(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(training, "predict", stopping)
    with stoppable(), pytest.raises(Preempted):
        tune(colours(tmp_path), seed=2)
    (state,) = (tmp_path / "progress").rglob("*.safetensors")
    header = read_header(state)
    assert (header["epoch"], header["step"]) == (1, 0)


def test_asked_to_stop_it_saves_its_state_and_goes_on_with_the_same_bits(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert exit_code_of(tune_until, tmp_path) == EXIT_CODE
    (state,) = (tmp_path / "progress").rglob("*.safetensors")
    assert read_header(state)["step"] == 3
    resumed = tune(colours(tmp_path), seed=2)
    assert_same(resumed, tune(replace(colours(tmp_path), progress_dir=tmp_path / "calm"), seed=2))
    torch.set_num_threads(before)
