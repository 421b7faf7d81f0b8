"""A folder of images for each class: EuroSAT, RESISC45, Caltech101, Rendered SST2, ImageNet and its variants."""

import csv
import os
from pathlib import Path

import numpy as np

from nml import plugins
from nml.errors import UserError
from nml.tasks.images import read_files
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN

OPTIONS = {"folder": None, "numbered": 0, "index": "", "part": "", "ignore": []}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def open_samples(
    place: Path, classes: Classes, folder: str, numbered: int, index: str, part: str, ignore: list[str]
) -> Samples:
    """Open one part.

    Parameters
    ----------
    folder : what the class folders lie in
    numbered : 1 if the folders are called by label, 0, 1, 2, …, and not as the catalogue's classes
    index : a file of the project that splits the images, in the form that `nml.tasks.split_index` writes
    part : which part of the index: `train` or `test`
    ignore : folders that are no classes
    """
    root = place / folder
    folders = {str(label) if numbered else classes.folders[label]: label for label in classes.present}
    _check_folders(root, set(folders), set(ignore))
    names = {name: _images_in(root / name) for name in folders}
    if index:
        names = _selected(root, names, plugins.PACKAGE.parent / index, part)
    keys = [f"{folder}/{name}/{file}" for name, files in names.items() for file in files]
    labels = np.repeat(list(folders.values()), [len(files) for files in names.values()])
    return Samples(keys, labels.astype(np.int64), read_files([f"{place}/{key}" for key in keys]))


def _check_folders(root: Path, expected: set[str], ignored: set[str]) -> None:
    try:
        with os.scandir(root) as entries:
            found = {entry.name for entry in entries if entry.is_dir()}
    except OSError as error:
        raise UserError(f"{root} cannot be read ({error.strerror}). {AGAIN}") from error
    lacking, strange = sorted(expected - found), sorted(found - expected - ignored)
    if lacking or strange:
        raise UserError(
            f"the folders in {root} are not the {len(expected)} classes. Missing: {_some(lacking)}. Unknown: "
            f"{_some(strange)}. Restore what is missing, and move away what is unknown."
        )


def _images_in(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.lower().endswith(_SUFFIXES))


def _selected(root: Path, names: dict[str, list[str]], index: Path, part: str) -> dict[str, list[str]]:
    """Return the images of one part of an index; all that it counts must be there, and no others."""
    selected = {}
    with open(index, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            every = [row["pattern"].format(number) for number in range(1, int(row["images"]) + 1)]
            if different := sorted(set(every) ^ set(names[row["class"]])):
                raise UserError(
                    f"{root / row['class']} must hold the {len(every)} images from {every[0]} to {every[-1]}, as "
                    f"{index.name} counts them; different: {_some(different)}. {AGAIN}"
                )
            tested = set(map(int, row["test"].split()))
            chosen = (number for number in range(1, len(every) + 1) if (number in tested) == (part == "test"))
            selected[row["class"]] = [every[number - 1] for number in chosen]
    return selected


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "none"
