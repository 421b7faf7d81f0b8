"""A folder with a small configuration, and results that a workflow could have left there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nml.artifacts import write_json, write_parquet
from nml.grid import Encoder, cell_path, encoder_dir, spectrum_path

CONFIG = """\
name: test
pretraining:
  - {corpus: emoji, recipe: small, noise: {symmetric: [20]}}
recipes:
  small: {objective: supervised, architecture: resnet-mini, epochs: 2, batch_size: 8, learning_rate: 0.001}
tasks: [emoji-domains, handwritten-digits]
methods:
  majority: {}
  lp: {learning_rate: 0.1}
"""
NOISY = "emoji/small/symmetric-20/s0"
UNTRAINED = "emoji/small/untrained/s0"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, with a configuration of 3 encoders, 2 tasks and 2 methods."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def make_cell() -> Callable[..., None]:
    """Write a cell and its predictions."""

    def make(encoder: str, task: str, method: str, value: float = 0.5) -> None:
        path = Path(cell_path(encoder, task, method))
        row = {**Encoder.parse(encoder).identity(), "task": task, "group": "id", "test_set": "test", "method": method}
        row |= {"fraction": 100, "seed": 0, "metric": "accuracy", "value": value, "n": 2}
        write_parquet(path, {name: [cell] for name, cell in row.items()})
        predictions = {"test_set": ["test"] * 2, "fraction": [100] * 2, "seed": [0] * 2, "key": ["a", "b"]}
        write_parquet(path.with_suffix(".predictions.parquet"), predictions | {"label": [0, 1], "prediction": [0, 0]})
        write_json(path.with_suffix(".meta.json"), {})

    return make


@pytest.fixture
def make_encoder() -> Callable[..., None]:
    """Write an encoder's checkpoint (empty) and meta."""

    def make(encoder: str, accuracy: float | None) -> None:
        folder = Path(encoder_dir(encoder))
        meta = {"address": encoder, "objective": "supervised", "validation_accuracy": accuracy, "recipe": {"epochs": 1}}
        write_json(folder / "meta.json", meta)
        for name in ("model.safetensors", "log.csv"):
            (folder / name).touch()

    return make


@pytest.fixture
def make_spectrum() -> Callable[..., None]:
    """Write a spectrum."""

    def make(encoder: str, task: str, sve: float = 0.6) -> None:
        row = {**Encoder.parse(encoder).identity(), "task": task, "group": "id", "test_set": "test", "n": 2, "dim": 2}
        row |= {"singular_values": [2.0, 1.0], "sve": sve, "lsvr": 0.4, "dominant_ratio": 0.67}
        write_parquet(str(spectrum_path(encoder, task)), {name: [value] for name, value in row.items()})

    return make
