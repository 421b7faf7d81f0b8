"""The tuning methods there are, learnt from their source files without importing them (and so without torch).

A method is one file, `nml/tuning/methods/<name>.py` (a dash in the name is an underscore in the file), with a docstring
and three literals:

- `TRAINED`: True if the method is trained, and so needs a learning rate, epochs and a batch size;
- `HEAD`: what it puts on the features, `constant`, `linear` or `mlp` (see `nml.tuning.heads`);
- `PARAMETERS`: its own hyper-parameters and their defaults (an `mlp` head needs `width`).

A trained method defines `loss(batch, parameters) -> Tensor [H]`, one that is not trained
`scores(labels, num_classes, parameters) -> Tensor [C]`.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from nml.errors import UserError
from nml.plugins import read_literals

METHODS = Path(__file__).parent / "methods"
HEADS = ("constant", "linear", "mlp")
COMMON_PARAMETERS = ("learning_rate", "weight_decay", "epochs", "batch_size")


@dataclass(frozen=True)
class MethodSpec:
    """What a method's file says of itself."""

    name: str
    trained: bool
    head: str
    parameters: dict[str, Any]


@cache
def available(directory: Path = METHODS) -> dict[str, MethodSpec]:
    """Return every method by name, in alphabetical order.

    Raises
    ------
    UserError
        If a method file lacks one of the literals or gives a value that is not allowed.
    """
    specs = [_read(path) for path in sorted(directory.glob("*.py")) if not path.stem.startswith("_")]
    return {spec.name: spec for spec in specs}


def describe(name: str) -> MethodSpec:
    """Return one method; raise `UserError` naming the nearest known one if there is no such file."""
    methods = available()
    if name not in methods:
        raise UserError(f"there is no tuning method '{name}'{_nearest(name, methods)}; methods: {', '.join(methods)}")
    return methods[name]


def load(name: str) -> ModuleType:
    """Import a method's module (and with it torch)."""
    return importlib.import_module(f"nml.tuning.methods.{describe(name).name.replace('-', '_')}")


def complete(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's own hyper-parameters: the given values, and the defaults of the others.

    Raises
    ------
    UserError
        If a given name is not a hyper-parameter of the method.
    """
    defaults = describe(name).parameters
    for key in given:
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise UserError(f"method '{name}' has no parameter '{key}'{_nearest(key, defaults)}; its own: {known}")
    return {**defaults, **given}


def _nearest(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def _read(path: Path) -> MethodSpec:
    literals = read_literals(path)
    for name, kind in (("TRAINED", bool), ("HEAD", str), ("PARAMETERS", dict)):
        if not isinstance(literals.get(name), kind):
            raise UserError(f"{path}: a tuning method needs a line {name} = <a literal of type {kind.__name__}>")
    name = path.stem.replace("_", "-")
    spec = MethodSpec(name, literals["TRAINED"], literals["HEAD"], literals["PARAMETERS"])
    if problem := _problem(spec):
        raise UserError(f"{path}: {problem}")
    return spec


def _problem(spec: MethodSpec) -> str | None:
    if spec.head not in HEADS:
        return f"HEAD is '{spec.head}'; allowed: {', '.join(HEADS)}"
    if spec.trained == (spec.head == "constant"):
        return f"HEAD is '{spec.head}' and TRAINED {spec.trained}; only a 'constant' head is not trained"
    if spec.head == "mlp" and "width" not in spec.parameters:
        return (
            "PARAMETERS lacks 'width', the hidden width of an 'mlp' head over the features' width; add \"width\": 1.0"
        )
    if clash := sorted(set(spec.parameters) & set(COMMON_PARAMETERS)):
        return f"PARAMETERS has {', '.join(clash)}, which all methods have; leave it out"
    return None
