"""Images of any sizes in one file, mapped: memory holds what is in use, and any of them is read at once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nml.corpora.disk import full_disk_named


class Pixels:
    """Images uint8 [H, W, 3] by their place in a file that `write_pixels` wrote."""

    def __init__(self, file: Path, shapes: list[tuple[int, int, int]]) -> None:
        self.shapes = shapes
        self.ends = np.cumsum([height * width * depth for height, width, depth in shapes])
        self.bytes = np.memmap(file, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, place: int) -> np.ndarray:
        shape = self.shapes[place]
        end = int(self.ends[place])
        return self.bytes[end - int(np.prod(shape)) : end].reshape(shape)


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
    return Pixels(file, shapes)
