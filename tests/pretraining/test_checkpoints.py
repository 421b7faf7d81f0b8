"""Checkpoints give back what they were given, and nothing half-written."""

import errno
import resource

import pytest
import torch
from torch import nn

from nml.pretraining import checkpoints
from nml.pretraining.checkpoints import load_tensors, restore_training_state, save_tensors, training_state
from tests.full_disk import no_space


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


def test_an_error_of_the_system_is_raised_as_one_and_leaves_no_file(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2**12)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "save_file", no_space)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_tensors(tmp_path / "x.safetensors", {}, {})
    assert caught.value.errno == errno.ENOSPC
