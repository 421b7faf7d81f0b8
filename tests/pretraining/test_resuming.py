"""A training that stops anywhere goes on from its last good checkpoint, and ends as if it had not."""

import shutil
from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nml.errors import UserError
from nml.pretraining import engine, resuming
from nml.pretraining.engine import train
from nml.pretraining.resuming import checkpoint_file, checkpoints, resume, save
from nml.pretraining.state import State
from nml.pretraining.world import World
from tests.full_disk import no_space

pytestmark = pytest.mark.usefixtures("one_thread")


def interrupt_after(monkeypatch, steps: int) -> None:
    """Stop the training like a kill would, after some steps."""
    real, done = engine.train_step, []

    def limited(*args):
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(engine, "train_step", limited)


# 60 samples in batches of 16 are 4 steps an epoch; checkpoints are after steps 3, 4, 7, 8, ...
RSB = {"optimizer": "lamb", "loss": "bce", "bce_threshold": 0.2, "mixup": 0.1, "cutmix": 1.0}
RSB |= {"repeated_augmentation": 3}
SGD = {"optimizer": "sgd", "schedule": "step", "milestones": (1, 2), "label_smoothing": 0.1, "decay_all": True}
BLOCKS = {"architecture": "timm/test_resnet", "drop_path": 0.3, "batch_size": 30, "epochs": 2}
BF16 = {"precision": "bf16", "channels_last": False, "micro_batch_size": 10, "batch_size": 20, "epochs": 2}


@pytest.mark.parametrize(
    ("objective", "steps", "changes"),
    [
        ("supervised", 4, {}),
        ("supervised", 9, {}),
        ("contrastive", 7, {}),
        ("contrastive", 2, {}),
        ("supervised", 7, RSB),
        ("supervised", 5, SGD | {"ema_decay": 0.9, "gradient_clip": None}),
        ("supervised", 3, BLOCKS),
        ("contrastive", 5, {"micro_batch_size": 6, "ema_decay": 0.9, "warmup_steps": 5}),
        ("supervised", 4, BF16 | {"mixup": 0.5}),
    ],
)
def test_resumed_training_ends_with_the_same_weights(run, objective, steps, changes, monkeypatch):
    monkeypatch.setattr(engine, "CHECKPOINT_STEPS", 3)
    whole, log = train(run(objective, **changes))
    expected = deepcopy(whole.state_dict())
    job = run(objective, **changes)
    shutil.rmtree(job.progress_dir)
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(KeyboardInterrupt):
            train(job)
    resumed, resumed_log = train(job)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.state_dict().items())
    assert all(parameter.dtype == torch.float32 for parameter in resumed.parameters())
    assert [(row["loss"], row["accuracy"]) for row in resumed_log] == [(row["loss"], row["accuracy"]) for row in log]


def test_the_last_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(run, monkeypatch):
    monkeypatch.setattr(engine, "CHECKPOINT_STEPS", 3)
    job = run()
    expected = deepcopy(train(job)[0].state_dict())
    assert [file.stem for file in checkpoints(job)] == ["00003-00000000", "00002-00000003"]
    last = checkpoints(job)[0]
    last.write_bytes(last.read_bytes()[:1000])
    resumed, log = train(job)
    assert len(log) == 3
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.state_dict().items())


def test_a_damaged_checkpoint_does_not_crowd_out_those_that_are_saved_next(run, monkeypatch):
    job = run()
    job.progress_dir.mkdir()
    for epoch in (90, 91):
        checkpoint_file(job, epoch, 0).write_bytes(b"not a checkpoint")
    train(job)
    assert [file.stem for file in checkpoints(job)] == ["00003-00000000", "00002-00000000"]
    monkeypatch.setattr(resuming, "save_tensors", lambda *_: pytest.fail("it trained again"))
    assert len(train(job)[1]) == 3


@dataclass(frozen=True)
class SecondOfTwo(World):
    """The second process, and the epoch and step that the first one tells it."""

    told: tuple[int, int] = (-1, -1)

    def share_first(self, tensors) -> None:
        for tensor in tensors:
            tensor.copy_(torch.tensor(self.told))


def test_other_processes_take_the_checkpoint_that_the_first_one_chose(run):
    job = run()
    train(job)
    assert resuming._agreed_checkpoint(job, SecondOfTwo(1, 2, told=(2, 0))) == checkpoint_file(job, 2, 0)
    assert resuming._agreed_checkpoint(job, SecondOfTwo(1, 2)) is None


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(run, monkeypatch):
    job, saved = run(), []

    def full_at_the_second(*arguments, **options):
        saved.append(arguments)
        return no_space() if len(saved) == 2 else save_file(*arguments, **options)

    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match=f"no space is left to write to {job.progress_dir}"),
    ):
        patch.setattr("nml.pretraining.checkpoints.save_file", full_at_the_second)
        train(job)
    assert [file.stem for file in checkpoints(job)] == ["00001-00000000"]
    assert len(train(job)[1]) == 3


def test_progress_of_another_recipe_is_not_resumed(run, monkeypatch):
    train(run(epochs=1))
    other = run(epochs=1, learning_rate=0.001)
    fresh, _ = train(other)
    shutil.rmtree(other.progress_dir)
    alone, _ = train(other)
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), alone.state_dict().values(), strict=True))


def test_the_random_state_of_each_gpu_is_kept(run, monkeypatch):
    monkeypatch.setattr(World, "device", torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.tensor([device.index, 7], dtype=torch.uint8))
    given = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.append((state.tolist(), device)))
    job, state = run(), State(nn.Linear(1, 1), torch.optim.SGD([nn.Parameter(torch.zeros(1))]), torch.zeros(2))
    save(job, state, World())
    monkeypatch.setattr(resuming, "_agreed_checkpoint", lambda run, _: checkpoints(run)[0])
    resume(job, state, World())
    assert given == [([0, 7], torch.device("cuda", 0))]
