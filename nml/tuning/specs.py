"""What is asked of the engine: one specification a head, and which of them can share a stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nml.plugins import tuning_method
from nml.tuning import registry
from nml.tuning.data import ALL


@dataclass(frozen=True)
class HeadSpec:
    """One head: a method, its seed and its hyper-parameters.

    `learning_rate` (the peak), `weight_decay`, `epochs` and `batch_size` have no meaning for methods that are not
    trained. `parameters` are the method's own; what is left out has the method's default. `fraction` is the percent of
    the training samples that it is trained on, and `views` how many of the views of a sample it draws from; all of
    them if None. Heads of different `cell`s share no stack, so that what comes of a cell
    does not depend, not even in its last bits, on which others there are.
    """

    method: str
    seed: int
    learning_rate: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 0
    batch_size: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fraction: int = ALL
    cell: str = ""
    views: int | None = None


def stacks_of(specs: Sequence[HeadSpec]) -> list[list[int]]:
    """Return the indices of the heads that can be fitted as one stack."""
    stacks: dict[tuple, list[int]] = {}
    for index, spec in enumerate(specs):
        stacks.setdefault(_shared(spec), []).append(index)
    return list(stacks.values())


def _shared(spec: HeadSpec) -> tuple:
    """Return what all heads of a stack have in common."""
    method, parameters = tuning_method(spec.method), registry.complete(spec.method, spec.parameters)
    if not method.trained:
        return spec.cell, spec.method, spec.fraction
    same = sorted((key, value) for key, value in parameters.items() if key not in method.per_head)
    return spec.cell, spec.method, spec.fraction, spec.views, spec.epochs, spec.batch_size, tuple(same)
