"""The tuning methods, those of the package and those of one's own."""

from functools import cache, partial
from pathlib import Path
from typing import Any

from nml.errors import UserError, nearest
from nml.plugins.declarations import read_declaration, read_declarations, read_literals
from nml.plugins.extending import check_kinds, extended
from nml.plugins.files import METHODS, PACKAGE, source_file
from nml.plugins.method_problems import literals_problem, spec_problem
from nml.plugins.method_spec import ENCODERS, FROZEN, HEADS, MethodSpec


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
    declared = read_declarations(folder, partial(_problem, folder))
    return {
        name: _method(name, own, folder / Path(source_file(METHODS, name)).name, source_file(METHODS, name))
        for name, own in declared.items()
    }


def _method_of_file(path: Path) -> MethodSpec:
    if not path.is_file():
        raise UserError(f"there is no file {path} with a tuning method; paths count from the folder of the Snakefile.")
    return _method(str(path), read_declaration(path, partial(_problem, path.parent)), path, str(path.resolve()))


def _problem(folder: Path, name: str, literals: dict[str, Any]) -> str | None:
    path = folder / Path(source_file(METHODS, name)).name
    check_kinds(literals, path)
    return literals_problem(literals) or spec_problem(_method(name, literals, path))


def _method(name: str, literals: dict[str, Any], path: Path, file: str = "") -> MethodSpec:
    """Return what a file declares, with what it extends and what goes with its head and encoder."""
    encoder = literals.get("ENCODER", FROZEN)
    package = [*_of_the_package(HEADS, literals.get("HEAD")), *_of_the_package(ENCODERS, encoder)]
    others = {one: read_literals(one) for one in package} | dict(extended(literals, path))
    given = {key: literals[key.upper()] for key in ("head", "per_head", "views") if key.upper() in literals}
    for key in ("parameters", "bounds", "choices"):
        # What comes later, and the method's own file above all, overrides what comes before.
        parts = [part.get(key.upper(), {}) for part in (*others.values(), literals)]
        given[key] = {parameter: value for part in parts for parameter, value in part.items()}
    return MethodSpec(
        name, literals["TRAINED"], file=file, encoder=encoder, declared_in=tuple(map(_rooted, others)), **given
    )


def _of_the_package(files: dict[str, tuple[str, ...]], choice: str | None) -> list[Path]:
    return [PACKAGE / file for file in files.get(choice, ())]


def _rooted(path: Path) -> str:
    """Return a path relative to the root of the project, or absolute if it is not the project's."""
    root = PACKAGE.parent
    return str(path.resolve().relative_to(root) if path.resolve().is_relative_to(root) else path.resolve())
