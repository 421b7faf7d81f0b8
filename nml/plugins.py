"""What the stages offer, learned from literals in their source files, without importing them (torch takes seconds).

A tuning method or a noise kind is one file; its module-level literals are its declaration.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parent


def read_literals(path: Path) -> dict[str, Any]:
    """Return the UPPER_CASE names that a module assigns a literal (number, string, list, dict of these)."""
    assignments = (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Assign))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in assignments
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper() and _is_literal(node.value)
    }


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _declarations(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return {path.stem.replace("_", "-"): read_literals(path) for path in files}


@cache
def noise_kinds() -> dict[str, dict[str, Any]]:
    """Return the noise kinds by name; `CORRUPTS` says what each changes, `labels` or `captions`."""
    return _declarations(PACKAGE / "noise" / "kinds")


@cache
def tuning_methods() -> dict[str, dict[str, Any]]:
    """Return the tuning methods by name with their declarations: `HEAD`, `TRAINED`, `PARAMETERS`."""
    return _declarations(PACKAGE / "tuning" / "methods")


@cache
def corpora() -> dict[str, dict[str, Any]]:
    """Return the corpus catalogue, `nml/corpora/catalogue.yaml`."""
    return yaml.safe_load((PACKAGE / "corpora" / "catalogue.yaml").read_text(encoding="utf-8"))


@cache
def tasks() -> dict[str, dict[str, Any]]:
    """Return the task catalogue, `nml/tasks/catalogue.yaml`."""
    return yaml.safe_load((PACKAGE / "tasks" / "catalogue.yaml").read_text(encoding="utf-8"))


@cache
def architectures() -> dict[str, dict[str, Any]]:
    """Return the architectures by name; `OBJECTIVE` says which recipes each serves."""
    return _declarations(PACKAGE / "pretraining" / "architectures")
