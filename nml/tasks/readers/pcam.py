"""PatchCamelyon: HDF5 files of pixels and of labels, of which no more than a stretch is ever in memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nml.errors import UserError
from nml.tasks.images import chunks
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN

OPTIONS = {"split": None}
# 28 MB of pixels.
STRETCH = 1024
_ROOT = "pcam"


def open_samples(place: Path, classes: Classes, split: str) -> Samples:
    """Open one part; `split` is `train`, `valid` or `test`, as in the names of the files."""
    pixels, target = (place / _ROOT / f"camelyonpatch_level_2_split_{split}_{what}.h5" for what in "xy")
    labels = np.concatenate([stretch.reshape(-1) for stretch in _stretches(target, "y", None)]).astype(np.int64)

    def images(indices: np.ndarray) -> Iterator[np.ndarray]:
        for stretch in _stretches(pixels, "x", indices):
            yield from stretch

    return Samples([f"{split}/{number:06d}" for number in range(len(labels))], labels, images, (pixels, target))


def _stretches(path: Path, name: str, indices: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield rows of a data set in an HDF5 file, all or those of ascending indices, a stretch of the file at a time."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            rows = file[name]
            if rows.dtype != np.uint8:
                raise ValueError(f"its values are {rows.dtype}, where uint8 is expected")
            for piece in chunks(np.arange(len(rows)) if indices is None else indices, STRETCH):
                # One stretch in one go: HDF5 takes far longer to pick single rows.
                yield rows[piece[0] : piece[-1] + 1][piece - piece[0]]
    except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as HDF5 with the data set '{name}' ({error}). {AGAIN}") from error
