"""A hash of the code that makes an output, so that an edit reruns what it can change and nothing else.

Snakemake sees neither a change in a module that a script imports nor that a comment is only a comment. So each rule
passes the hash of its script and of all `nml` modules reachable from it as a parameter. The hash is taken from the
syntax tree without docstrings: comments, formatting and documentation never rerun a GPU-day.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nml.artifacts import read_json, write_json
from nml.plugins import PACKAGE

# What these say or show cannot change a result.
NEUTRAL = {PACKAGE / f"{name}.py" for name in ("costs", "errors", "jobs", "leases", "preemption", "progress")}
NEUTRAL |= {PACKAGE / "pretraining/watching.py"}
# What reads a source: another version of it, or of Python, may read another thing.
_READER = Path(__file__).read_bytes() + sys.version.encode()


class _Source(NamedTuple):
    """What counts of a source file: its code, or the bytes of a data file, and the names that it imports."""

    code: bytes
    imports: tuple[str, ...]


def code_hash(sources: Iterable[str | Path], kept: Path | None = None) -> str:
    """Return a hash of the given files, of every `nml` module they import, directly or not, and of their data files.

    Data files (YAML, JSON) that are passed by path count by their bytes. Modules in `NEUTRAL` do not count.

    Parameters
    ----------
    sources : scripts, modules, data files
    kept : folder that keeps what was read of each source for other processes, by the source's bytes: all syntax trees
        of the project take more than a second. It may be deleted at any time. By default, nothing is kept.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(tuple(Path(source).resolve() for source in sources), kept)):
        digest.update(path.name.encode() + b"\0" + _read(path, kept).code)
    return digest.hexdigest()[:16]


def _closure(roots: tuple[Path, ...], kept: Path | None = None) -> set[Path]:
    seen: set[Path] = set()
    pending = list(roots)
    while pending:
        path = pending.pop()
        if path not in seen and path not in NEUTRAL:
            seen.add(path)
            pending.extend(_imported(path, kept))
    return seen


@cache
def _imported(path: Path, kept: Path | None) -> tuple[Path, ...]:
    return tuple(module for name in _read(path, kept).imports for module in _module_files(name))


@cache
def _read(path: Path, kept: Path | None) -> _Source:
    if path.suffix != ".py":
        return _Source(path.read_bytes(), ())
    text = path.read_text(encoding="utf-8")
    if kept is None:
        return _parsed(text)
    note = kept / f"{hashlib.sha256(_READER + text.encode()).hexdigest()}.json"
    with suppress(OSError, ValueError):
        code, imports = read_json(note)
        return _Source(code.encode(), tuple(imports))
    source = _parsed(text)
    # A full disk, or a folder that somebody else owns, costs time alone.
    with suppress(OSError):
        write_json(note, [source.code.decode(), source.imports])
    return source


def _parsed(text: str) -> _Source:
    tree = ast.parse(text)
    imports = tuple(_imported_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return _Source(ast.unparse(tree).encode(), imports)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(name: str) -> tuple[Path, ...]:
    """Return the files that importing a dotted name runs: each package's `__init__.py`, and the module."""
    package, *parts = name.split(".")
    return _files_below(PACKAGE, tuple(parts)) if package == PACKAGE.name else ()


@cache
def _files_below(package: Path, parts: tuple[str, ...]) -> tuple[Path, ...]:
    stems = [package.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    candidates = [path for stem in stems for path in (stem / "__init__.py", stem.with_suffix(".py"))]
    return tuple(path for path in candidates if path.is_file())
