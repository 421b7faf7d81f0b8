"""`nml merge`: take over cells, predictions and spectra that another machine made."""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from nml.artifacts import atomic_path, sha256_file
from nml.cli.cells import parse_cell, problem_of, problem_of_spectrum
from nml.cli.facts import read_facts
from nml.errors import UserError
from nml.grid import spectrum_path
from nml.reporting.schema import PREDICTIONS_SUFFIX

RESULTS = Path("results")


def run(options: argparse.Namespace) -> None:
    """Copy what `options.folder` has and this folder lacks; see `merge`."""
    theirs = Path(options.folder)
    if not (theirs / "cells").is_dir():
        raise UserError(f"{theirs} has no folder `cells`: it is no results folder. Name the results/ of the other run.")
    copied, replaced, same, spectra = merge(theirs, RESULTS, options.prefer)
    print(
        f"{copied} cells taken over, {replaced} replaced, {same} were here already, the same; "
        f"{spectra} spectra replaced"
    )


def merge(theirs: Path, ours: Path, prefer: str | None) -> tuple[int, int, int, int]:
    """Merge the cells of one results folder into another, each whole: rows, predictions and metadata, and its spectrum.

    The rule: a cell is taken over if it is not here; left alone if its rows and predictions are the same bytes; where
    they differ, `prefer` says whose stays, `ours` or `theirs`, and without it nothing at all is merged. The same holds
    for a spectrum, which the cells of its encoder and task share. Metadata that a cell has lost here are taken over
    with any choice. A damaged file, or one with other columns, is refused before anything is copied. Encoders are not
    copied; but where both sides have one at the same address with different weights, their cells do not belong
    together, and nothing is merged.

    Returns
    -------
    How many cells were copied, replaced, and here already; and how many spectra were replaced.

    Raises
    ------
    UserError
        A conflict without `prefer`, a damaged or foreign cell or spectrum, or different encoders at one address.
    """
    cells = [path for path in sorted((theirs / "cells").rglob("*.parquet")) if _is_cell(path)]
    _refuse_damaged(cells, problem_of)
    spectra = sorted({path for path in (_spectrum(cell, theirs) for cell in cells) if path.is_file()})
    _refuse_damaged(spectra, problem_of_spectrum)
    _refuse_other_encoders(theirs, ours)
    # A cell comes after its spectrum: where it is, the rest is.
    paths = [*spectra, *cells]
    new = {path for path in paths if not _here(path, theirs, ours).is_file()}
    different = {path for path in paths if path not in new and not _same(path, theirs, ours)}
    if different and prefer is None:
        raise UserError(
            f"{len(different)} cells or spectra are in both and differ, first of all {min(different)}. Nothing was "
            "merged. Say whose stay: --prefer ours or --prefer theirs."
        )
    taken = new | (different if prefer == "theirs" else set())
    for path in filter(taken.__contains__, paths):
        _copy(path, theirs, ours)
    for path in {*cells} - new - different:
        _copy_metadata(path, theirs, ours)
    replaced = taken - new
    return (
        len(new.intersection(cells)),
        len(replaced.intersection(cells)),
        len({*cells} - new - different),
        len(replaced.intersection(spectra)),
    )


def _is_cell(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith(PREDICTIONS_SUFFIX)


def _here(path: Path, theirs: Path, ours: Path) -> Path:
    return ours / path.relative_to(theirs)


def _spectrum(cell: Path, theirs: Path) -> Path:
    address = parse_cell("/".join(cell.parts[-6:]))
    return theirs / spectrum_path(address.encoder, address.task).relative_to(RESULTS)


def _refuse_damaged(paths: list[Path], problem_in: Callable[[Path], str]) -> None:
    """Refuse files that are damaged, foreign, or of another version of the schema."""
    for path in paths:
        if problem := problem_in(path):
            raise UserError(f"{problem}; nothing was merged.")


def _same(path: Path, theirs: Path, ours: Path) -> bool:
    """Whether a spectrum, or a cell with its predictions, has the same bytes here."""
    files = filter(Path.is_file, (path, path.with_suffix(PREDICTIONS_SUFFIX)))
    pairs = ((file, _here(file, theirs, ours)) for file in files)
    return all(other.is_file() and sha256_file(file) == sha256_file(other) for file, other in pairs)


def _refuse_other_encoders(theirs: Path, ours: Path) -> None:
    for path in sorted((theirs / "encoders").rglob("meta.json")):
        other = _here(path, theirs, ours)
        key = "checkpoint_sha256"
        if other.is_file() and (found := read_facts(path).get(key)) != (here := read_facts(other).get(key)):
            raise UserError(
                f"{path} and {other} are different encoders at one address ({key} {found} and {here}); nothing was "
                "merged. Their cells do not belong together: keep them in two folders."
            )


def _copy(path: Path, theirs: Path, ours: Path) -> None:
    """Copy a spectrum, or a cell's files, the cell itself last: where it is, the rest is."""
    for file in filter(Path.is_file, [path.with_suffix(PREDICTIONS_SUFFIX), path.with_suffix(".meta.json"), path]):
        _copy_file(file, _here(file, theirs, ours))


def _copy_metadata(cell: Path, theirs: Path, ours: Path) -> None:
    """Copy the metadata of a cell that is the same here, if they are lost."""
    file = cell.with_suffix(".meta.json")
    if not (here := _here(file, theirs, ours)).is_file():
        _copy_file(file, here)


def _copy_file(file: Path, to: Path) -> None:
    with atomic_path(to) as temporary:
        shutil.copyfile(file, temporary)
