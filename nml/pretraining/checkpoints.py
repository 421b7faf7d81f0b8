"""Checkpoints without pickle: safetensors for tensors, its text header for the rest."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from nml.artifacts import atomic_path

_HEADER = "nml"


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON header into one safetensors file, atomically; raise `OSError` if the disk is full."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary, _system_errors():
        save_file(contiguous, temporary, metadata={_HEADER: json.dumps(header)})


@contextmanager
def _system_errors() -> Iterator[None]:
    """Raise the errors of the operating system as what they are: safetensors has their number in a text alone."""
    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: tensors by name, and the header; raise what `read_header` does."""
    with safe_open(path, framework="pt") as file:
        # An open file of safetensors cannot be iterated over, only its keys.
        return {name: file.get_tensor(name) for name in file.keys()}, _header(file)  # noqa: SIM118


def read_header(path: Path) -> dict[str, Any]:
    """Read only the header of what `save_tensors` wrote; raise `SafetensorError` if it is damaged, or another file."""
    with safe_open(path, framework="pt") as file:
        return _header(file)


def _header(file: Any) -> dict[str, Any]:
    try:
        header = json.loads(file.metadata()[_HEADER])
    except (TypeError, KeyError, ValueError) as error:
        raise SafetensorError(f"it has no header of nml: {error!r}") from None
    if not isinstance(header, dict):
        raise SafetensorError("its header is not one of nml")
    return header


def training_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None = None
) -> dict[str, torch.Tensor]:
    """Flatten the state of a model, its optimiser, and the moving average of its weights into named tensors."""
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    # timm's LAMB counts its steps by group, PyTorch's optimisers by parameter.
    counters = {f"group.{i}": group["step"] for i, group in enumerate(optimizer.param_groups) if "step" in group}
    averaged = average.state_dict() if average else {}
    return state | counters | {f"average.{name}": tensor for name, tensor in averaged.items()}


def restore_training_state(
    tensors: dict[str, torch.Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None = None,
) -> None:
    """Put back what `training_state` flattened."""
    model.load_state_dict(_below("model.", tensors))
    if average:
        average.load_state_dict(_below("average.", tensors))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            index, key = int(name.split(".")[1]), name.split(".", 2)[2]
            moments.setdefault(index, {})[key] = _laid_out_like(parameters[index], tensor)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    for index, counter in _below("group.", tensors).items():
        optimizer.param_groups[int(index)]["step"] = counter


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _laid_out_like(parameter: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Give a moment its parameter's memory layout: fused optimisers walk both in memory order."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor).detach()
