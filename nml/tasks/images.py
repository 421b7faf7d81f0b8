"""Decoding the images of real data sets: always RGB, and an error that names the file."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

# Imported for what they register: else Pillow would import all of its formats at the first such image.
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from nml.errors import UserError

# What the data sets hold, some under a name that says otherwise. Pillow knows formats that start other programs.
# Its reader of JPEG takes MPO too.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")


def decode(data: bytes, where: str) -> np.ndarray:
    """Return an image as uint8 [H, W, 3], RGB.

    Grey, palette, CMYK and transparent images are converted; of an animated one the first frame is taken. The
    orientation in a photograph's EXIF is not applied: no other reader of these data sets does.

    Parameters
    ----------
    data : the bytes of the file
    where : what to call it in an error

    Raises
    ------
    UserError
        If the bytes are no whole image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = "is empty" if not data else f"is no whole image ({error})"
        raise UserError(
            f"{where} {what}. Get it from the data set's source again: a sample that is left out would change the "
            "split that results are compared on."
        ) from error


def read_files(paths: Sequence[Path | str]) -> Callable[[np.ndarray], Iterator[np.ndarray]]:
    """Return the function of `Samples.images` for images that are a file each."""

    def images(indices: np.ndarray) -> Iterator[np.ndarray]:
        for index in indices:
            yield decode(_bytes_of(paths[index]), str(paths[index]))

    return images


def _bytes_of(path: Path | str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise UserError(
            f"the image {path} cannot be read ({error.strerror}), but the data set's list names it. Get the data set "
            "from its source again."
        ) from error


def chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut ascending indices where a multiple of `size` is passed, so that each piece lies in one stretch of `size`."""
    cuts = np.flatnonzero(np.diff(indices // size)) + 1
    return (piece for piece in np.split(indices, cuts) if len(piece))
