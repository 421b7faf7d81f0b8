"""Stanford Cars: a folder of images a split, and a MATLAB table with the file and the class of each."""

from pathlib import Path

import numpy as np

from nml.errors import UserError
from nml.tasks.images import read_files
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN, read_mat

OPTIONS = {"annotations": None, "images": None}


def open_samples(place: Path, classes: Classes, annotations: str, images: str) -> Samples:
    """Open one part: `annotations` is the table, whose classes count from 1, and `images` the folder."""
    table = np.atleast_1d(read_mat(place / annotations, "annotations")[0])
    try:
        names = [str(name) for name in table["fname"]]
        labels = np.asarray([int(number) - 1 for number in table["class"]], dtype=np.int64)
    except (IndexError, TypeError, ValueError) as error:
        raise UserError(f"{place / annotations} lacks files or classes of images ({error}). {AGAIN}") from error
    keys = [f"{images}/{name}" for name in names]
    return Samples(keys, labels, read_files([f"{place}/{key}" for key in keys]))
