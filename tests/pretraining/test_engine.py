"""Training learns, follows its schedule, and resumes bit for bit."""

import errno
import itertools
import math
import shutil
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from nml.errors import UserError
from nml.pretraining import engine
from nml.pretraining.checkpoints import save_tensors
from nml.pretraining.engine import Run, State, build_model, train
from nml.pretraining.world import World

NOISE = {"supervised": "symmetric-20", "contrastive": "swap-20"}


@pytest.fixture
def run(corpus, noise_dirs, recipe, tmp_path):
    def make(objective: str = "supervised", noise: str | None = None, **changes) -> Run:
        folder = noise_dirs[noise or NOISE[objective]]
        made = recipe(objective, **changes)
        return Run("a run", corpus, folder, made, made.architecture, 0, tmp_path / "progress", "code")

    return make


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


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
    expected = weights(whole)
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
    expected = weights(train(job)[0])
    assert [file.stem for file in engine._checkpoints(job)] == ["00003-00000000", "00002-00000003"]
    last = engine._checkpoints(job)[0]
    last.write_bytes(last.read_bytes()[:1000])
    resumed, log = train(job)
    assert len(log) == 3
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.state_dict().items())


def test_a_damaged_checkpoint_does_not_crowd_out_those_that_are_saved_next(run, monkeypatch):
    job = run()
    job.progress_dir.mkdir()
    for epoch in (90, 91):
        engine._checkpoint(job, epoch, 0).write_bytes(b"not a checkpoint")
    train(job)
    assert [file.stem for file in engine._checkpoints(job)] == ["00003-00000000", "00002-00000000"]
    monkeypatch.setattr(engine, "save_tensors", lambda *_: pytest.fail("it trained again"))
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
    assert engine._agreed_checkpoint(job, SecondOfTwo(1, 2, told=(2, 0))) == engine._checkpoint(job, 2, 0)
    assert engine._agreed_checkpoint(job, SecondOfTwo(1, 2)) is None


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(run, monkeypatch):
    job, saved = run(), []

    def full_at_the_second(path, *_):
        saved.append(path)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save_tensors(path, *_)

    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match=f"no space is left to write to {job.progress_dir}"),
    ):
        patch.setattr(engine, "save_tensors", full_at_the_second)
        train(job)
    assert [file.stem for file in engine._checkpoints(job)] == ["00001-00000000"]
    assert len(train(job)[1]) == 3


def test_progress_of_another_recipe_is_not_resumed(run, monkeypatch):
    train(run(epochs=1))
    other = run(epochs=1, learning_rate=0.001)
    fresh, _ = train(other)
    shutil.rmtree(other.progress_dir)
    alone, _ = train(other)
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), alone.state_dict().values(), strict=True))


@pytest.mark.parametrize("library", ["timm", "open_clip_torch", "pillow"])
def test_progress_of_another_version_of_a_library_is_not_resumed(run, library, monkeypatch):
    job, real = run(), engine.version
    before = job.fingerprint(World())
    monkeypatch.setattr(engine, "version", lambda name: "0.0" if name == library else real(name))
    assert job.fingerprint(World()) != before


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_an_easy_corpus_is_learned(run, objective):
    _, log = train(run(objective, noise="clean", epochs=12, batch_size=20))
    assert log[-1]["validation_accuracy"] >= 0.9, "three plain colours"
    assert log[-1]["loss"] < log[0]["loss"]


def test_encoders_of_one_seed_start_alike_at_every_noise(recipe):
    first, again = (build_model(recipe(), "resnet-mini", 3, seed=0) for _ in range(2))
    other = build_model(recipe(), "resnet-mini", 3, seed=1)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(run, monkeypatch):
    job, real, calls = run(epochs=2), run().objective.loss, []

    def broken(*args):
        calls.append(1)
        loss, right = real(*args)
        return (loss * math.nan if len(calls) > 5 else loss), right

    monkeypatch.setattr(job.objective, "loss", broken)
    with pytest.raises(UserError, match=r"epoch 2.*recipes\.resnet-mini\.learning_rate"):
        train(job)
    assert [file.stem for file in engine._checkpoints(job)] == ["00001-00000000"]
    monkeypatch.setattr(job.objective, "loss", real)
    assert len(train(job)[1]) == 2


def test_weights_that_the_last_step_broke_are_not_saved(run, monkeypatch):
    job, real, steps = run(epochs=2), engine.train_step, []

    def breaking(run, model, state, *args):
        real(run, model, state, *args)
        steps.append(1)
        if len(steps) == 8:
            with torch.no_grad():
                next(state.model.parameters())[0] = math.inf

    with monkeypatch.context() as patch, pytest.raises(UserError, match="weight became infinite or NaN in epoch 2"):
        patch.setattr(engine, "train_step", breaking)
        train(job)
    assert [file.stem for file in engine._checkpoints(job)] == ["00001-00000000"]


def test_the_random_state_of_each_gpu_is_kept(run, monkeypatch):
    monkeypatch.setattr(World, "device", torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.tensor([device.index, 7], dtype=torch.uint8))
    given = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.append((state.tolist(), device)))
    job, state = run(), State(nn.Linear(1, 1), torch.optim.SGD([nn.Parameter(torch.zeros(1))]), torch.zeros(2))
    engine._save(job, state, World())
    monkeypatch.setattr(engine, "_agreed_checkpoint", lambda run, _: engine._checkpoints(run)[0])
    engine._resume(job, state, World())
    assert given == [([0, 7], torch.device("cuda", 0))]


def test_the_average_of_the_weights_is_what_is_kept(run, monkeypatch):
    seen = []
    real = engine.ModelEmaV3.update

    def spy(self, model):
        real(self, model)
        seen.append((weights(model), weights(self.module)))

    monkeypatch.setattr(engine.ModelEmaV3, "update", spy)
    kept, _ = train(run(ema_decay=0.8, epochs=1))
    assert len(seen) == 4
    name = "conv1.weight"
    for (_, before), (model, after) in itertools.pairwise(seen):
        torch.testing.assert_close(after[name], 0.8 * before[name] + 0.2 * model[name])
    assert torch.equal(kept.state_dict()[name], seen[-1][1][name])
    assert not torch.equal(kept.state_dict()[name], seen[-1][0][name])


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_an_easy_corpus_is_learned_in_micro_batches(run, objective, caplog):
    caplog.set_level("INFO", logger="nml")
    _, log = train(run(objective, noise="clean", epochs=12, batch_size=20, micro_batch_size=10))
    assert log[-1]["validation_accuracy"] >= 0.9
    assert "batches of 20: 1 process(es) with 2 micro batches of at most 10" in caplog.text


def test_an_easy_corpus_is_learned_with_the_parts_of_rsb(run):
    changes = RSB | {"learning_rate": 0.01, "cutmix": 0, "repeated_augmentation": 2}
    _, log = train(run(noise="clean", epochs=20, batch_size=20, **changes))
    assert log[-1]["validation_accuracy"] >= 0.9


def test_a_compiled_model_has_the_weights_of_the_plain_one(run, monkeypatch):
    job = run(epochs=1, compile=True)
    compiled, called = torch.compile, []
    # The eager backend goes through all of torch.compile but the code generator, which needs a C++ compiler.
    monkeypatch.setattr(torch, "compile", lambda model: called.append(1) or compiled(model, backend="eager"))
    expected = weights(train(job)[0])
    shutil.rmtree(job.progress_dir)
    plain, _ = train(run(epochs=1))
    assert called
    assert plain.state_dict().keys() == expected.keys()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])


def test_batches_with_fewer_samples_than_processes_are_refused(run):
    # 60 samples in batches of at most 7.
    with pytest.raises(UserError, match=r"6 samples \(recipes\.resnet-mini\.batch_size is 7.* 8 processes.*at least 8"):
        train(run(batch_size=7), World(3, 8))


def test_a_warm_up_as_long_as_the_training_is_refused(run):
    with pytest.raises(UserError, match=r"warmup_steps is 12, and the whole training takes 12 steps.*fewer than 12"):
        train(run(warmup_steps=12))
