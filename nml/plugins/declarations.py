"""Reading the declaration of a plug-in, the literals of its file, without importing it."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nml.errors import UserError

Problem = Callable[[str, dict[str, Any]], str | None]
"""Given a plug-in's name and its literals, says what is wrong with them, or None."""


def read_literals(path: Path) -> dict[str, Any]:
    """Return the UPPER_CASE names that a module assigns a literal (number, string, list, dict of these).

    Raises
    ------
    UserError
        If the file is not Python.
    """
    assignments = (node for node in _statements(path) if isinstance(node, ast.Assign))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in assignments
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper() and _is_literal(node.value)
    }


def assigned_names(path: Path) -> set[str]:
    """Return the names that a module assigns anything, also with an annotation; raise what `read_literals` does."""
    statements = [node for node in _statements(path) if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [target for node in statements for target in getattr(node, "targets", None) or [node.target]]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _statements(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Python: {error}. Mend it, or move it out of this folder.") from None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


def read_declarations(folder: Path, problem: Problem) -> dict[str, dict[str, Any]]:
    """Return the literals of every plug-in file of a folder, by the plug-in's name.

    Raises
    ------
    UserError
        If a file is not Python, is not named as plug-ins are, or has a problem.
    """
    files = (path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_"))
    return {_plugin_name(path): read_declaration(path, problem) for path in files}


def read_declaration(path: Path, problem: Problem) -> dict[str, Any]:
    """Return the literals of one plug-in file; raise what `read_declarations` does."""
    literals = read_literals(path)
    if wrong := _name_problem(path.stem) or problem(_plugin_name(path), literals):
        raise UserError(f"{path}: {wrong}.")
    return literals


def _plugin_name(path: Path) -> str:
    return path.stem.replace("_", "-")


def _name_problem(stem: str) -> str | None:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stem):
        return None
    return "name the file with small letters, digits and single underscores, such as my_plugin.py"


def lacks(literals: dict[str, Any], name: str, kind: type) -> str | None:
    """Say that a literal of some type is not there, or None if it is."""
    if isinstance(literals.get(name), kind):
        return None
    return f"it needs a line {name} = <a literal of type {kind.__name__}>"
