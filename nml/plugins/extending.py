"""Declarations that are laid over others: the files that a method names with EXTENDS, and those that these name."""

from pathlib import Path
from typing import Any

from nml.errors import UserError
from nml.plugins.declarations import assigned_names, lacks, read_literals

KINDS = {
    "TRAINED": bool,
    "PARAMETERS": dict,
    "HEAD": str,
    "ENCODER": str,
    "PER_HEAD": tuple,
    "VIEWS": int,
    "BOUNDS": dict,
    "CHOICES": dict,
    "EXTENDS": str,
}
"""What a file may declare, and as which type of literal."""


def extended(literals: dict[str, Any], file: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the files that a declaration is laid over, the undermost first, each with its literals.

    Parameters
    ----------
    literals : dict
        The declaration.
    file : Path
        Where it stands.

    Raises
    ------
    UserError
        If a file is not there, is not Python, extends itself, or declares something that is not a literal of its type.
    """
    check_kinds(literals, file)
    found: dict[Path, dict[str, Any]] = {}
    while "EXTENDS" in literals:
        other = file.parent / literals["EXTENDS"]
        if not other.is_file():
            raise UserError(f"{file}: EXTENDS names {literals['EXTENDS']}, and there is no such file beside it.")
        if other.resolve() in {path.resolve() for path in found}:
            raise UserError(f"{file}: EXTENDS names {literals['EXTENDS']}, which extends this file. Leave a line out.")
        file, literals = other, read_literals(other)
        check_kinds(literals, file)
        found[file] = literals
    return list(found.items())[::-1]


def check_kinds(literals: dict[str, Any], file: Path) -> None:
    """Raise `UserError` if a file declares something in a way that cannot be read, or of another type."""
    for name in KINDS.keys() & assigned_names(file):
        if lack := lacks(literals, name, KINDS[name]):
            raise UserError(f"{file}: {lack}, without an annotation.")
