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
_SHAPE = (3, 32, 32)


class _Dtype:
    """Stands in for `numpy.dtype`; only bytes are allowed."""

    def __init__(self, code: str, *_: Any) -> None:
        if code != "u1":
            raise pickle.UnpicklingError(f"it has an array of {code!r}, where bytes (u1) are expected")

    def __setstate__(self, state: Any) -> None:
        pass


class _Array:
    """Stands in for an array of bytes while a pickle is read: NumPy's own reading trusts what the file says."""

    def __init__(self, *_: Any) -> None:
        self._values = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes | str]) -> None:
        _, shape, dtype, in_columns, data = state
        if not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("it has an array without a kind of values")
        values = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, np.uint8)
        self._values = values.reshape(shape, order="F" if in_columns else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._values, dtype)


def _encoded(text: str, encoding: str) -> bytes:
    """Stand in for `codecs.encode`, which Python 2 wrote byte strings with."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it has bytes written as {encoding!r}, where latin1 is expected")
    return text.encode("latin1")


# The pickles were written by Python 2 with an old NumPy: its names, and those that a new one would write. Nothing that
# they name is called: these are called instead.
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Restricted(pickle.Unpickler):
    """Gives plain values and arrays of bytes, and refuses every other name, whatever it would do."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which this data set has no use for")
        return _STAND_INS[module, name]


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
    """Return what a pickle of plain values and arrays of bytes holds; arrays are what `np.asarray` takes.

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
