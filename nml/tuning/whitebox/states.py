"""How far a training is, and how that is kept in the progress folder."""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from nml.pretraining.checkpoints import load_tensors, restore_training_state, save_tensors, training_state
from nml.tuning.whitebox.network import Network

logger = logging.getLogger("nml")

NUMBERS = ("epoch", "step", "loss", "seconds", "best_correct", "best_epoch", "log")
"""What of a state is no tensor."""


@dataclass
class State:
    """How far a training is: all that a checkpoint holds.

    Attributes
    ----------
    epoch, step : int
        Finished epochs, and steps of the one that is under way.
    loss : float
        Sum over the samples of that epoch.
    seconds : float
        Of that epoch.
    best : dict of Tensor
        The network of the best epoch.
    best_correct, best_epoch : int
        How many validation samples it gets right, and which epoch it is of, from 1.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_correct: int = -1
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)


def save_state(file: Path, state: State, description: str) -> None:
    """Write a state; `description` is `Tuning.describe` of the training."""
    tensors = training_state(state.network, state.optimizer)
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    header = {"run": description} | {name: getattr(state, name) for name in NUMBERS}
    save_tensors(file, tensors, header)


def restore_state(file: Path, state: State, description: str) -> bool:
    """Put back the state that was saved of this very training; tell whether there is one."""
    found = read_tensors(file, description)
    if found is None:
        return False
    tensors, header = found
    best = {name: tensors.pop(name) for name in list(tensors) if name.startswith("best.")}
    restore_training_state(tensors, state.network, state.optimizer)
    place = state.network.device
    state.best = {name.removeprefix("best."): tensor.to(place) for name, tensor in best.items()}
    for name in NUMBERS:
        setattr(state, name, header[name])
    return True


def read_tensors(file: Path, description: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return what a file of the progress folder holds, or None if there is none of this description."""
    try:
        tensors, header = load_tensors(file)
    except FileNotFoundError:
        return None
    except SafetensorError as error:
        logger.warning("%s cannot be read (%s): starting over", file, error)
        return None
    if header["run"] == description:
        return tensors, header
    logger.info("%s is of another encoder, task, method or code: starting over", file.parent)
    shutil.rmtree(file.parent)
    return None
