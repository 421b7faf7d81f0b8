"""CIFAR-10 and CIFAR-100 in their Python version: pickles of pixels and labels, read without running what they say."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nml.errors import UserError
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN

OPTIONS = {"folder": None, "files": None, "labels": None, "names": None, "names_key": None}
# The pickles were written by Python 2 with an old NumPy: its names, and those that a new one would write.
_ALLOWED = {
    *(("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")),
    *(("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")),
}
_SHAPE = (3, 32, 32)


class _Restricted(pickle.Unpickler):
    """Gives plain values and numeric arrays, and refuses every other name, whatever it would do."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which this data set has no use for")
        return super().find_class(module, name)


def open_samples(
    place: Path, classes: Classes, folder: str, files: list[str], labels: str, names: str, names_key: str
) -> Samples:
    """Open one part.

    Parameters
    ----------
    folder, files : the batches of the part
    labels : the key of the labels in a batch
    names, names_key : the file that names the classes, and its key; they must be those of the catalogue
    """
    _check_names(place / folder / names, names_key, classes.names)
    paths = [place / folder / file for file in files]
    batches = [_batch(path, labels) for path in paths]
    pixels = np.concatenate([data for data, _ in batches])
    keys = [
        f"{path.name}/{row:05d}" for path, (data, _) in zip(paths, batches, strict=True) for row in range(len(data))
    ]

    def images(indices: np.ndarray) -> Iterator[np.ndarray]:
        for index in indices:
            yield np.ascontiguousarray(pixels[index].reshape(_SHAPE).transpose(1, 2, 0))

    return Samples(keys, np.concatenate([found for _, found in batches]), images, tuple(paths))


def _batch(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    content = load_restricted(path)
    try:
        data, labels = np.asarray(content["data"]), np.asarray(content[key], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} lacks data or {key} ({error!r}). {AGAIN}") from error
    if data.dtype != np.uint8 or data.shape != (len(labels), np.prod(_SHAPE)):
        raise UserError(f"{path} has data of {data.dtype} {data.shape} for {len(labels)} labels. {AGAIN}")
    return data, labels


def _check_names(path: Path, key: str, expected: list[str]) -> None:
    content = load_restricted(path)
    if not isinstance(content, dict) or content.get(key) != expected:
        raise UserError(f"{path} does not name the {len(expected)} classes of the catalogue under '{key}'. {AGAIN}")


def load_restricted(path: Path) -> Any:
    """Return what a pickle of plain values and numeric arrays holds.

    Raises
    ------
    UserError
        If it cannot be read, or names anything else: loading that could run any program.
    """
    try:
        with open(path, "rb") as file:
            return _Restricted(file, encoding="latin1").load()
    # A damaged pickle raises nearly anything.
    except Exception as error:
        raise UserError(f"{path} is not the pickle that it should be ({error}). {AGAIN}") from error
