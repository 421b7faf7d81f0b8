"""A training can be watched as it goes, and ends with the same weights as one that nobody watches."""

import csv
import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nml.pretraining import engine
from nml.pretraining.engine import train
from nml.pretraining.run import Run
from nml.pretraining.training_log import write_log
from nml.pretraining.watching import Subject, Watcher, watching
from nml.pretraining.world import ALONE

EPOCHS, STEPS = 3, 4


@pytest.fixture
def run(corpus, noise_dirs, recipe, tmp_path, monkeypatch):
    """Return a function that makes a run of 3 epochs of 4 steps, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nml.pretraining.watching.STEPS_APART", 2)

    def make(*watch: str, **changes) -> Run:
        made = recipe("supervised", epochs=EPOCHS, **changes)
        return Run("a/b/clean/s0", corpus, noise_dirs["clean"], made, "b", 0, tmp_path / "progress", "c", watch=watch)

    return make


def points(tmp_path) -> dict[str, list[tuple[int, float]]]:
    """Return what TensorBoard itself reads: (step, value) by name."""
    events = EventAccumulator(str(tmp_path / "results/logs/tensorboard/a/b/clean/s0"))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def kill_in(epoch: int, monkeypatch) -> None:
    real = engine.train_step

    def step(run, model, state, *rest):
        if (state.epoch, state.step) == (epoch, 3):
            raise KeyboardInterrupt
        real(run, model, state, *rest)

    monkeypatch.setattr(engine, "train_step", step)


def test_tensorboard_has_each_epoch_and_the_curves_within(run, tmp_path):
    _, log = train(run("tensorboard"))
    shown = points(tmp_path)
    assert {f"epochs/{name}" for name in log[0]} | {"steps/loss", "steps/accuracy", "steps/learning_rate"} <= set(shown)
    for name in ("loss", "validation_accuracy"):
        assert [step for step, _ in shown[f"epochs/{name}"]] == [STEPS, 2 * STEPS, 3 * STEPS]
        assert [value for _, value in shown[f"epochs/{name}"]] == pytest.approx([row[name] for row in log])
    assert [step for step, _ in shown["steps/loss"]] == list(range(2, EPOCHS * STEPS + 1, 2))
    within = [value for _, value in shown["steps/loss"]]
    # Two batches of 15 each make the halves of an epoch of 60.
    assert [(a + b) / 2 for a, b in zip(within[::2], within[1::2], strict=True)] == pytest.approx(
        [row["loss"] for row in log]
    )


def test_after_a_kill_each_point_is_there_once(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_in(1, patch)
        with pytest.raises(KeyboardInterrupt):
            train(run("tensorboard"))
    assert (2 * STEPS - 2) in [step for step, _ in points(tmp_path)["steps/loss"]]
    train(run("tensorboard"))
    shown = points(tmp_path)
    assert [step for step, _ in shown["steps/loss"]] == list(range(2, EPOCHS * STEPS + 1, 2))
    assert [step for step, _ in shown["epochs/loss"]] == [STEPS, 2 * STEPS, 3 * STEPS]


def test_a_training_that_starts_over_starts_its_curves_over(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_in(2, patch)
        with pytest.raises(KeyboardInterrupt):
            train(run("tensorboard"))
    _, log = train(run("tensorboard", learning_rate=0.001))
    assert [value for _, value in points(tmp_path)["epochs/loss"]] == pytest.approx([row["loss"] for row in log])


def test_watching_changes_no_weight_and_is_nothing_to_start_over_for(run, tmp_path):
    plain = train(run())[0].state_dict()
    assert run().fingerprint(ALONE) == run("tensorboard").fingerprint(ALONE)
    (tmp_path / "progress").rename(tmp_path / "before")
    watched = train(run("tensorboard"))[0].state_dict()
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_the_log_so_far_can_be_read_while_it_trains(run, tmp_path, monkeypatch):
    kill_in(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(run())
    rows = list(csv.DictReader((tmp_path / "progress/log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_the_log_is_csv_with_a_row_an_epoch(tmp_path):
    write_log(tmp_path, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (tmp_path / "log.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


def test_without_tools_no_step_is_due():
    assert not any(Watcher().is_due(step) for step in range(1, 1000))
    assert [step for step in range(1, 160) if Watcher([print]).is_due(step)] == [50, 100, 150]


def test_a_point_is_the_mean_since_the_last_one_of_the_epoch():
    shown = []
    watcher = Watcher([lambda step, values: shown.append((step, values["steps/loss"], values["steps/accuracy"]))])
    for step, sums, samples in ((50, [20.0, 5.0], 10), (100, [30.0, 10.0], 20), (150, [40.0, 4.0], 10)):
        watcher.show_steps(step, torch.tensor(sums), samples, {})
    assert shown == [(50, 2.0, 0.5), (100, 1.0, 0.5), (150, 4.0, pytest.approx(0.4))]


@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="Weights & Biases is not installed")
def test_weights_and_biases_works_without_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with watching(["wandb"], Subject("a/b/clean/s0", "x", {"epochs": 1})) as watcher:
        watcher.show_epoch(4, {"loss": 0.5})
    assert list((tmp_path / "results/logs/wandb").glob("offline-run-*/run-*.wandb"))


@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="Weights & Biases is not installed")
def test_weights_and_biases_without_a_key_says_what_to_do(tmp_path):
    code = "from nml.pretraining.watching import Subject, watching\n"
    code += "with watching(['wandb'], Subject('a/b/clean/s0', 'x', {})): pass"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "nml.errors.UserError: a/b/clean/s0: Weights & Biases cannot be used" in done.stderr
    assert "WANDB_MODE=offline" in done.stderr
