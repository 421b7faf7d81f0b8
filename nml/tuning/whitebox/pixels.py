"""Images of any sizes in one file, mapped: memory holds what is in use, and any of them is read at once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nml.artifacts import full_disk_named


class Pixels:
    """Images uint8 [H, W, 3] by their place in a file that `write_pixels` wrote."""

    def __init__(self, content: np.ndarray, ends: np.ndarray, shapes: np.ndarray) -> None:
        self.content, self.ends, self.shapes = content, ends, shapes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, place: int) -> np.ndarray:
        end = self.ends[place]
        return self.content[end - self.shapes[place].prod() : end].reshape(self.shapes[place])

    def chosen(self, rows: np.ndarray) -> "Pixels":
        """Return some of the images, in the same file."""
        return Pixels(self.content, self.ends[rows], self.shapes[rows])


def write_pixels(file: Path, images: Iterable[np.ndarray]) -> Pixels:
    """Write images one after another, and map them.

    Raises
    ------
    UserError
        If the disk is full.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    shapes = []
    with full_disk_named(file.parent), file.open("wb") as out:
        for image in images:
            out.write(np.ascontiguousarray(image))
            shapes.append(image.shape)
    sizes = np.asarray(shapes, dtype=np.int64).reshape(-1, 3)
    return Pixels(np.memmap(file, dtype=np.uint8, mode="r"), np.cumsum(sizes.prod(axis=1)), sizes)
