"""SVHN's cropped digits: a MATLAB file a split with all pixels and labels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nml.errors import UserError
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN, read_mat

OPTIONS = {"file": None}


def open_samples(place: Path, classes: Classes, file: str) -> Samples:
    """Open one part; the digit 0 has the label 10 on disk."""
    path = place / file
    labels = np.atleast_1d(read_mat(path, "y")[0]).astype(np.int64)
    labels[labels == 10] = 0

    def images(indices: np.ndarray) -> Iterator[np.ndarray]:
        # Read here, and not kept: 190 MB for as long as one goes through the split, and none for its labels.
        pixels = read_mat(path, "X")[0].reshape(32, 32, 3, -1)
        if pixels.shape[-1] != len(labels) or pixels.dtype != np.uint8:
            raise UserError(f"{path} has {pixels.shape[-1]} images of {pixels.dtype} for {len(labels)} labels. {AGAIN}")
        for index in indices:
            yield np.ascontiguousarray(pixels[..., index])

    return Samples([f"{path.stem}/{number:06d}" for number in range(len(labels))], labels, images, (path,))
