"""What pre-training costs is samples × epochs ÷ images a second, by the best evidence that there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nml.artifacts import read_json, write_json
from nml.cli import main
from nml.cli.costs import Speed, TrainingCost, costs_of, train_samples
from nml.config.load import load_config
from nml.grid import encoder_dir

CLEAN, NOISY = "emoji/small/clean/s0", "emoji/small/symmetric-20/s0"
CPU = {"device": "a processor", "kind": "cpu", "count": 1}
GPU = {"device": "a GPU", "kind": "gpu", "count": 8}


def trained(address: str, speed: float, device: dict[str, Any], **changes: Any) -> None:
    """Leave what a training leaves, as far as the costs read it."""
    recipe = load_config("config.yaml").recipes["small"].model_dump(mode="json") | changes
    folder = Path(encoder_dir(address))
    write_json(folder / "meta.json", {"recipe": recipe, "samples_per_second": speed, "device": device})
    (folder / "model.safetensors").touch()


def measured(speed: float, device: dict[str, Any], **changes: Any) -> None:
    recipe = load_config("config.yaml").recipes["small"].model_dump(mode="json") | changes
    write_json("results/measured/small.json", {"recipe": recipe, "images_per_second": speed, "device": device})


def cost() -> TrainingCost:
    (found,) = costs_of(load_config("config.yaml"))
    return found


def plan(capsys: pytest.CaptureFixture[str]) -> str:
    main(["plan"])
    return capsys.readouterr().out


def test_hours_are_samples_times_epochs_over_images_a_second() -> None:
    measured(1000, CPU)
    assert (cost().samples, cost().epochs, cost().missing) == (6066, 2, 2)
    assert cost().hours == pytest.approx(6066 * 2 / 1000 / 3600)


def test_several_devices_share_the_images_and_cost_their_hours() -> None:
    speed = Speed(8000, "a GPU", "gpu", 8, "measured")
    assert speed.device_hours(8000 * 3600) == pytest.approx(8)


def test_what_was_trained_here_is_better_evidence_than_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    measured(1000, CPU)
    trained(CLEAN, 500, CPU)
    assert cost().speed == Speed(500, "a processor", "cpu", 1, "1 trained here")
    trained(NOISY, 700, CPU)
    assert cost().speed == Speed(600, "a processor", "cpu", 1, "2 trained here")
    assert cost().missing == 0
    assert "are missing; validation" not in plan(capsys)


def test_trainings_on_different_devices_are_not_averaged() -> None:
    trained(CLEAN, 500, CPU)
    trained(NOISY, 8000, GPU)
    assert cost().speed == Speed(8000, "a GPU", "gpu", 8, "1 trained here")


@pytest.mark.parametrize("evidence", [measured, lambda *given, **changes: trained(CLEAN, *given, **changes)])
def test_evidence_of_another_recipe_does_not_count_and_of_other_epochs_does(evidence: Callable) -> None:
    evidence(1000, CPU, batch_size=16)
    assert cost().speed is None
    evidence(1000, CPU, epochs=100)
    assert cost().speed.images_per_second == 1000


def test_an_encoder_from_before_devices_were_noted_is_no_evidence(make_encoder: Callable) -> None:
    make_encoder(CLEAN, 0.5)
    assert cost().speed is None


def test_samples_are_those_of_the_index_or_of_the_catalogue() -> None:
    assert train_samples("imagenet1k") == 1_281_167
    assert train_samples("yfcc15m") == 15_388_848
    shards = {"a.tar": {"samples": 60}, "b.tar": {"samples": 40}}
    write_json("results/corpora/imagenet1k/manifest.json", {"splits": {"train": shards, "validation": {}}})
    assert train_samples("imagenet1k") == 100


def test_the_plan_shows_the_cost_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    measured(0.6066, GPU)
    shown = plan(capsys)
    row = next(line.split() for line in shown.splitlines() if line.startswith("emoji/small "))
    assert row[:8] == ["emoji/small", "2", "6,066", "×", "2", "1", "44.4", "88.9"]
    assert "8 × a GPU" in shown and "measured, without loading" in shown
    assert "About 88.9 GPU-hours of pre-training are missing" in shown


def test_the_plan_says_how_to_learn_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Not known: small. `nml plan --measure` trains each for some seconds here." in plan(capsys)


def test_a_recipe_is_measured_by_real_steps(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").symlink_to(Path(__file__).parents[2] / "data")
    main(["plan", "--measure"])
    found = read_json("results/measured/small.json")
    assert found["images_per_second"] > 0 and found["steps"] >= 3
    assert found["peak_memory_bytes"] > 2**27
    assert found["device"]["count"] >= 1
    assert cost().speed.images_per_second == found["images_per_second"]
    assert "measured, without loading" in capsys.readouterr().out
