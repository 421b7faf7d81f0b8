"""What comes of tuning an encoder, and how it is kept until all seeds are done."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nml.pretraining.checkpoints import save_tensors
from nml.tuning.whitebox.states import read_tensors


@dataclass(frozen=True)
class TunedSplit:
    """Predictions int64 [N] and tuned features float32 [N, D] of one test set."""

    predictions: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class TunedEncoder:
    """What came of one seed.

    Attributes
    ----------
    tests : dict of TunedSplit, by test set
    epoch : int
        The epoch whose weights were kept, from 1.
    validation_accuracy : float
        Accuracy of the kept weights on the validation split, a fraction.
    trainable_parameters : int
        Of encoder and head.
    log : list of dict
        For each epoch: its number, mean loss, validation accuracy and wall seconds.
    """

    tests: dict[str, TunedSplit]
    epoch: int
    validation_accuracy: float
    trainable_parameters: int
    log: list[dict[str, float]]

    @property
    def seconds(self) -> float:
        return sum(row["seconds"] for row in self.log)


def write_result(file: Path, result: TunedEncoder, description: str) -> None:
    """Write what came of one seed; `description` is `Tuning.describe` of it."""
    tensors = {f"predictions.{name}": torch.from_numpy(split.predictions) for name, split in result.tests.items()}
    tensors |= {f"features.{name}": torch.from_numpy(split.features) for name, split in result.tests.items()}
    facts = ("epoch", "validation_accuracy", "trainable_parameters", "log")
    save_tensors(file, tensors, {"run": description} | {name: getattr(result, name) for name in facts})


def read_result(file: Path, description: str) -> TunedEncoder | None:
    """Return what `write_result` wrote of this description, or None."""
    found = read_tensors(file, description)
    if found is None:
        return None
    tensors, header = found
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    names = [name.removeprefix("predictions.") for name in arrays if name.startswith("predictions.")]
    tests = {name: TunedSplit(arrays[f"predictions.{name}"], arrays[f"features.{name}"]) for name in names}
    return TunedEncoder(tests, **{key: value for key, value in header.items() if key != "run"})
