"""Training learns, stops at what is not finite, and keeps the average of the weights where the recipe has one."""

import itertools
import math
import shutil
from copy import deepcopy

import pytest
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import nn

from nml.config.recipes import Augmentation
from nml.errors import UserError
from nml.pretraining import engine
from nml.pretraining.data import TrainingData
from nml.pretraining.engine import train
from nml.pretraining.model import build_model
from nml.pretraining.resuming import checkpoints

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_an_easy_corpus_is_learned(run, objective):
    _, log = train(run(objective, noise="clean", epochs=12, batch_size=20))
    assert log[-1]["validation_accuracy"] >= 0.9, "three plain colours"
    assert log[-1]["loss"] < log[0]["loss"]


def test_the_engine_takes_the_steps_of_a_plain_loop_of_timms_parts(run):
    sgd = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05, "weight_decay": 0.01, "warmup_epochs": 0}
    job = run(**sgd, augmentation=Augmentation(min_scale=1, flip=False))
    kept, log = train(job)
    data, recipe = TrainingData(job.corpus, job.noise_dir, "label", collate=torch.tensor), job.recipe
    model = build_model(recipe, job.recipe_name, 3, job.seed).train()
    optimizer = create_optimizer_v2(model, opt="momentum", lr=0.05, momentum=0.9, weight_decay=0.01)
    schedule, _ = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=3, warmup_epochs=0, min_lr=0, step_on_epochs=False, updates_per_epoch=4
    )
    losses = []
    for update in range(12):
        if update % 4 == 0:
            batches = data.batches([15] * 4, job.epoch_seed(update // 4))
        images, labels = next(batches)
        # timm sets the learning rate after a step, and ours is that of the step's end.
        schedule.step_update(update + 1)
        loss = nn.functional.cross_entropy(model((images / 255 - 0.5) / 0.5), labels)
        optimizer.zero_grad()
        loss.backward()
        dispatch_clip_grad(model.parameters(), recipe.gradient_clip)
        optimizer.step()
        losses.append(loss.item())
    assert [row["loss"] for row in log] == pytest.approx(
        [sum(losses[epoch : epoch + 4]) / 4 for epoch in (0, 4, 8)], 1e-3
    )
    for name, tensor in kept.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(run, monkeypatch):
    job, real, calls = run(epochs=2), run().objective.loss, []

    def broken(*args):
        calls.append(1)
        loss, right = real(*args)
        return (loss * math.nan if len(calls) > 5 else loss), right

    monkeypatch.setattr(job.objective, "loss", broken)
    with pytest.raises(UserError, match=r"epoch 2.*recipes\.resnet-mini\.learning_rate"):
        train(job)
    assert [file.stem for file in checkpoints(job)] == ["00001-00000000"]
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
    assert [file.stem for file in checkpoints(job)] == ["00001-00000000"]


def test_the_average_of_the_weights_is_what_is_kept(run, monkeypatch):
    seen = []
    real = ModelEmaV3.update

    def spy(self, model):
        real(self, model)
        seen.append((deepcopy(model.state_dict()), deepcopy(self.module.state_dict())))

    monkeypatch.setattr(ModelEmaV3, "update", spy)
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
    parts = {"optimizer": "lamb", "loss": "bce", "bce_threshold": 0.2, "mixup": 0.1, "repeated_augmentation": 2}
    _, log = train(run(noise="clean", epochs=20, batch_size=20, learning_rate=0.01, **parts))
    assert log[-1]["validation_accuracy"] >= 0.9


def test_a_compiled_model_has_the_weights_of_the_plain_one(run, monkeypatch):
    job = run(epochs=1, compile=True)
    compiled, called = torch.compile, []
    # The eager backend goes through all of torch.compile but the code generator, which needs a C++ compiler.
    monkeypatch.setattr(torch, "compile", lambda model: called.append(1) or compiled(model, backend="eager"))
    expected = deepcopy(train(job)[0].state_dict())
    shutil.rmtree(job.progress_dir)
    plain, _ = train(run(epochs=1))
    assert called
    assert plain.state_dict().keys() == expected.keys()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
