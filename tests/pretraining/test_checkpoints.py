"""Checkpoints give back what they were given, and nothing half-written."""

import pytest
import torch
from torch import nn

from nml.pretraining.checkpoints import load_tensors, restore_training_state, save_tensors, training_state


def test_tensors_and_header_come_back(tmp_path):
    tensors = {"a": torch.randn(3, 4).T, "count": torch.tensor(7)}
    save_tensors(tmp_path / "x.safetensors", tensors, {"epoch": 3, "log": [{"loss": 0.1 + 0.2}]})
    loaded, header = load_tensors(tmp_path / "x.safetensors")
    assert header == {"epoch": 3, "log": [{"loss": 0.1 + 0.2}]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_a_restored_optimizer_takes_the_same_step(tmp_path):
    def fresh():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    def step(model, optimizer, seed):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()

    model, optimizer = fresh()
    step(model, optimizer, 1)
    save_tensors(tmp_path / "state.safetensors", training_state(model, optimizer), {})
    step(model, optimizer, 2)
    other, other_optimizer = fresh()
    restore_training_state(load_tensors(tmp_path / "state.safetensors")[0], other, other_optimizer)
    step(other, other_optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.zeros(2)}, {})
    with pytest.raises(TypeError):
        save_tensors(path, {"a": torch.ones(2)}, {"not JSON": object()})
    assert torch.equal(load_tensors(path)[0]["a"], torch.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
