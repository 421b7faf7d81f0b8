"""The training of a network stops where it must, and resumes with the same bits."""

from dataclasses import replace

import pytest

from nml.tuning.whitebox import training
from nml.tuning.whitebox.tune import tune
from tests.tuning.whitebox.examples import assert_same


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
