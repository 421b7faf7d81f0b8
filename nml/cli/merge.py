"""`nml merge`: take over cells, predictions and spectra that another machine made."""

import argparse
import shutil
from pathlib import Path

from nml.artifacts import atomic_path, sha256_file
from nml.cli.cells import problem_of
from nml.cli.facts import read_facts
from nml.errors import UserError
from nml.reporting.schema import PREDICTIONS_SUFFIX

RESULTS = Path("results")


def run(options: argparse.Namespace) -> None:
    """Copy what `options.folder` has and this folder lacks; see `merge`."""
    theirs = Path(options.folder)
    if not (theirs / "cells").is_dir():
        raise UserError(f"{theirs} has no folder `cells`: it is no results folder. Name the results/ of the other run.")
    copied, replaced, same = merge(theirs, RESULTS, options.prefer)
    print(f"{copied} cells taken over, {replaced} replaced, {same} were here already, the same")


def merge(theirs: Path, ours: Path, prefer: str | None) -> tuple[int, int, int]:
    """Merge the cells of one results folder into another, each whole: rows, predictions and metadata, and its spectrum.

    The rule: a cell is taken over if it is not here; left alone if its rows and predictions are the same bytes; where
    they differ, `prefer` says whose stays, `ours` or `theirs`, and without it nothing at all is merged. A damaged file,
    or one with other columns, is refused before anything is copied. Encoders are not copied; but where both sides have
    one at the same address with different weights, their cells do not belong together, and nothing is merged.

    Returns
    -------
    How many cells were copied, replaced, and here already.

    Raises
    ------
    UserError
        A conflict without `prefer`, a damaged or foreign cell, or different encoders at one address.
    """
    cells = [path for path in sorted((theirs / "cells").rglob("*.parquet")) if _is_cell(path)]
    for path in cells:
        _check(path)
    _refuse_other_encoders(theirs, ours)
    new = [path for path in cells if not _here(path, theirs, ours).is_file()]
    old = [path for path in cells if _here(path, theirs, ours).is_file()]
    different = [path for path in old if not _same(path, _here(path, theirs, ours))]
    if different and prefer is None:
        raise UserError(
            f"{len(different)} cells are in both and differ, first of all {different[0]}. Nothing was merged. Say "
            "whose stay: --prefer ours or --prefer theirs."
        )
    replaced = different if prefer == "theirs" else []
    for path in (*new, *replaced):
        _copy_cell(path, theirs, ours)
    return len(new), len(replaced), len(old) - len(different)


def _is_cell(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith(PREDICTIONS_SUFFIX)


def _here(path: Path, theirs: Path, ours: Path) -> Path:
    return ours / path.relative_to(theirs)


def _check(path: Path) -> None:
    """Refuse a cell that is damaged, foreign, or of another version of the schema."""
    if problem := problem_of(path):
        raise UserError(f"{problem}; nothing was merged.")


def _same(path: Path, other: Path) -> bool:
    return all(
        b.is_file() and sha256_file(a) == sha256_file(b)
        for a, b in ((path, other), (path.with_suffix(PREDICTIONS_SUFFIX), other.with_suffix(PREDICTIONS_SUFFIX)))
    )


def _refuse_other_encoders(theirs: Path, ours: Path) -> None:
    for path in sorted((theirs / "encoders").rglob("meta.json")):
        other = _here(path, theirs, ours)
        key = "checkpoint_sha256"
        if other.is_file() and (found := read_facts(path).get(key)) != (here := read_facts(other).get(key)):
            raise UserError(
                f"{path} and {other} are different encoders at one address ({key} {found} and {here}); nothing was "
                "merged. Their cells do not belong together: keep them in two folders."
            )


def _copy_cell(path: Path, theirs: Path, ours: Path) -> None:
    """Copy a cell's files, the cell itself last: where it is, the rest is."""
    spectrum = theirs / "spectra" / path.parent.relative_to(theirs / "cells").with_suffix(".parquet")
    files = [path.with_suffix(PREDICTIONS_SUFFIX), path.with_suffix(".meta.json"), spectrum, path]
    for file in filter(Path.is_file, files):
        with atomic_path(_here(file, theirs, ours)) as temporary:
            shutil.copyfile(file, temporary)
