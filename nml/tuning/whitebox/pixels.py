"""Images of any sizes in one file on disk, of which memory holds what is in use alone.

They are read, and not mapped: what a process has mapped counts as its memory once it was looked at, and a scheduler
that counts so would end a job whose images fill hundreds of gigabytes.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nml.artifacts import atomic_path, full_disk_named


class Pixels:
    """Images uint8 [H, W, 3] by their place in a file that `write_pixels` wrote, with their shapes int64 [N, 3]."""

    def __init__(self, content: BinaryIO, ends: np.ndarray, shapes: np.ndarray) -> None:
        self._content, self._ends, self.shapes = content, ends, shapes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, place: int) -> np.ndarray:
        size, end = int(self.shapes[place].prod()), int(self._ends[place])
        return np.frombuffer(os.pread(self._content.fileno(), size, end - size), np.uint8).reshape(self.shapes[place])

    def chosen(self, rows: np.ndarray) -> "Pixels":
        """Return some of the images, in the same file."""
        return Pixels(self._content, self._ends[rows], self.shapes[rows])


def open_pixels(file: Path, shapes: np.ndarray) -> Pixels:
    """Return the images of a file that `write_pixels` wrote, by their shapes int64 [N, 3]."""
    return Pixels(file.open("rb"), np.cumsum(shapes.prod(axis=1)), shapes)


def write_pixels(file: Path, images: Iterable[np.ndarray]) -> Pixels:
    """Write images one after another; the file is whole or absent.

    Raises
    ------
    UserError
        If the disk is full.
    """
    shapes = []
    file.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_named(file.parent), atomic_path(file) as temporary, temporary.open("wb") as out:
        for image in images:
            out.write(np.ascontiguousarray(image))
            shapes.append(image.shape)
    return open_pixels(file, np.asarray(shapes, dtype=np.int64).reshape(-1, 3))
