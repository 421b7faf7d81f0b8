"""Numbers that are not finite end a run before they are kept: a state on disk is always one to go on from."""

import math
from pathlib import Path

import torch
from torch.nn.utils import get_total_norm

from nml.errors import UserError
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.states import State


def check_step(run: Tuning, state: State, loss: float, file: Path) -> None:
    """Raise `UserError` if the loss or the gradient of the step that is under way is not finite.

    The gradient counts by its norm, so that squares of it that leave the range of float32 are noticed too: AdamW would
    stand still after them.
    """
    if not math.isfinite(loss):
        _stop(run, state, state.step + 1, f"the loss became {loss}", file)
    gradients = [tensor.grad for tensor in (*state.network.trained, *state.network.head) if tensor.grad is not None]
    norm = get_total_norm(gradients).item()
    if not math.isfinite(norm):
        _stop(run, state, state.step + 1, f"the norm of the gradient became {norm}", file)


def check_weights(run: Tuning, state: State, file: Path) -> None:
    """Raise `UserError` if a tensor that training changes, weights and running statistics, is not finite."""
    for name, tensor in state.network.state_dict().items():
        if not torch.isfinite(tensor).all():
            _stop(run, state, state.step, f"'{name}' got values that are not finite", file)


def _stop(run: Tuning, state: State, step: int, what: str, file: Path) -> None:
    place = f"epoch {state.epoch + 1}, step {step} of {run.steps_per_epoch}"
    rounding = ", or set its precision to fp32" if run.parameters["precision"] == "bf16" else ""
    kept = f"The state before it is in {file}; with other values the training starts over." if file.is_file() else ""
    raise UserError(
        f"{run.label}: {what} in {place}. Lower methods.{run.name}.learning_rate (now {run.learning_rate}){rounding}. "
        f"{kept or 'No state was kept yet.'}"
    )
