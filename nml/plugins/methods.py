"""The tuning methods, those of the package and those of one's own."""

from functools import cache
from pathlib import Path
from typing import Any

from nml.errors import UserError, nearest
from nml.plugins.declarations import read_declaration, read_declarations, read_literals
from nml.plugins.files import METHODS, PACKAGE, source_file
from nml.plugins.method_problems import literals_problem, spec_problem
from nml.plugins.method_spec import ENCODERS, FROZEN, MethodSpec


@cache
def tuning_methods() -> dict[str, MethodSpec]:
    """Return the tuning methods by name; raise `UserError` for a wrong file, as every reader here does."""
    return read_methods(PACKAGE / METHODS)


@cache
def tuning_method(name: str) -> MethodSpec:
    """Return one tuning method: by its name, or by the path of a file of one's own, such as `experiments/mine.py`.

    Raises
    ------
    UserError
        If there is no such method (the nearest known one is named) or file, or the file's declaration is wrong.
    """
    if name.endswith(".py"):
        return _method_of_file(Path(name))
    methods = tuning_methods()
    if name not in methods:
        meant = nearest(name, methods)
        hint = f" (did you mean '{meant}'?)" if meant else ""
        raise UserError(f"there is no tuning method '{name}'{hint}; methods: {', '.join(methods)}")
    return methods[name]


def changes_encoder(method: str) -> bool:
    """Tell whether a tuning method changes the encoder, and so has jobs of its own."""
    return tuning_method(method).encoder != FROZEN


def read_methods(folder: Path) -> dict[str, MethodSpec]:
    """Return the tuning methods of a folder by name, in alphabetical order.

    Raises
    ------
    UserError
        If a file is not Python, lacks one of the literals, or gives a value that is not allowed.
    """
    declared = read_declarations(folder, _method_problem)
    return {name: _method(name, literals, source_file(METHODS, name)) for name, literals in declared.items()}


def _method_of_file(path: Path) -> MethodSpec:
    if not path.is_file():
        raise UserError(f"there is no file {path} with a tuning method; paths count from the folder of the Snakefile.")
    return _method(str(path), read_declaration(path, _method_problem), str(path.resolve()))


def _method(name: str, literals: dict[str, Any], file: str = "") -> MethodSpec:
    encoder = literals.get("ENCODER", FROZEN)
    given = {key: literals[key.upper()] for key in ("head", "per_head", "views") if key.upper() in literals}
    given |= {key: _with_encoder(encoder, key.upper(), literals) for key in ("parameters", "bounds", "choices")}
    return MethodSpec(name, literals["TRAINED"], file=file, encoder=encoder, **given)


def _with_encoder(encoder: str, literal: str, own: dict[str, Any]) -> dict[str, Any]:
    """Return a method's own declarations, and those that go with what it does to the encoder."""
    files = [_literals_of(file) for file in ENCODERS.get(encoder, ())]
    return {key: value for part in [*files, own] for key, value in part.get(literal, {}).items()}


@cache
def _literals_of(file: str) -> dict[str, Any]:
    return read_literals(PACKAGE / file)


def _method_problem(name: str, literals: dict[str, Any]) -> str | None:
    return literals_problem(literals) or spec_problem(_method(name, literals))
