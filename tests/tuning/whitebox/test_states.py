"""What is kept of a training, and what of it is taken up again."""

import pytest

from nml.pretraining.checkpoints import load_tensors
from nml.tuning.whitebox.tune import tune


def test_a_damaged_state_is_passed_over(run):
    tuning = run("lora")
    folder = tuning.progress_dir / "100-2"
    folder.mkdir(parents=True)
    (folder / "state.safetensors").write_bytes(b"half a file")
    assert tune(tuning, seed=2).epoch >= 1


def test_adapters_alone_are_saved(run, monkeypatch):
    monkeypatch.setattr("nml.tuning.whitebox.tune._result", None)
    tuning = run("lora")
    with pytest.raises(TypeError):
        tune(tuning, seed=2)
    tensors, _ = load_tensors(next(tuning.progress_dir.rglob("state.safetensors")))
    assert all("lora_" in name or "head." in name for name in tensors if name.startswith("model."))
