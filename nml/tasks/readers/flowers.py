"""Flowers102: a folder of images, and MATLAB files with the label of each and the numbers of each split."""

from pathlib import Path

import numpy as np

from nml.errors import UserError
from nml.tasks.images import read_files
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN, read_mat

OPTIONS = {"split": None}
_ROOT = "flowers-102"


def open_samples(place: Path, classes: Classes, split: str) -> Samples:
    """Open one part; `split` is the variable of `setid.mat`: `trnid`, `valid` or `tstid`."""
    folder = place / _ROOT
    all_labels, numbers = _vector(folder, "imagelabels.mat", "labels"), _vector(folder, "setid.mat", split)
    if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= len(all_labels):
        raise UserError(f"{folder / 'setid.mat'} names images beyond the {len(all_labels)} labels. {AGAIN}")
    paths = [folder / "jpg" / f"image_{number:05d}.jpg" for number in numbers]
    # Both the images and the classes are counted from 1.
    return Samples([path.stem for path in paths], all_labels[numbers - 1] - 1, read_files(paths))


def _vector(folder: Path, file: str, name: str) -> np.ndarray:
    return np.atleast_1d(read_mat(folder / file, name)[0]).astype(np.int64)
