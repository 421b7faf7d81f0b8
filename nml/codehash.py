"""A hash of the code that makes an output, so that an edit reruns what it can change and nothing else.

Snakemake sees neither a change in a module that a script imports nor that a comment is only a comment. So each rule
passes the hash of its script and of all `nml` modules reachable from it as a parameter. The hash is taken from the
syntax tree without docstrings: comments, formatting and documentation never rerun a GPU-day.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from nml.plugins import PACKAGE

# What these say or show cannot change a result.
NEUTRAL = {PACKAGE / f"{name}.py" for name in ("costs", "errors", "jobs", "leases", "preemption", "progress")}
NEUTRAL |= {PACKAGE / "pretraining/watching.py"}


def code_hash(sources: Iterable[str | Path]) -> str:
    """Return a hash of the given files, of every `nml` module they import, directly or not, and of their data files.

    Data files (YAML, JSON) that are passed by path count by their bytes. Modules in `NEUTRAL` do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(tuple(Path(source).resolve() for source in sources))):
        digest.update(path.name.encode() + b"\0" + _normalised(path))
    return digest.hexdigest()[:16]


@cache
def _normalised(path: Path) -> bytes:
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return ast.unparse(tree).encode()


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _closure(roots: tuple[Path, ...]) -> set[Path]:
    seen: set[Path] = set()
    pending = list(roots)
    while pending:
        path = pending.pop()
        if path not in seen and path not in NEUTRAL:
            seen.add(path)
            pending.extend(_imported(path))
    return seen


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    if path.suffix != ".py":
        return ()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(module for name in _imported_names(tree) for module in _module_files(name))


def _imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(name: str) -> Iterator[Path]:
    """Yield the files that importing a dotted name runs: each package's `__init__.py`, and the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(1, len(parts) + 1):
        stem = PACKAGE.joinpath(*parts[1:depth])
        yield from (path for path in (stem / "__init__.py", stem.with_suffix(".py")) if depth > 1 and path.is_file())
