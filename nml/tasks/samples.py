"""What every reader gives, whatever lies on disk: keys, labels, and the images of some of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Classes:
    """The classes of a data set by label.

    Attributes
    ----------
    names : list of str
    folders : list of str
        The name of each class's folder, where the data set has such.
    present : list of int
        The labels that occur in the part at hand.
    """

    names: list[str]
    folders: list[str]
    present: list[int]


@dataclass(frozen=True)
class Samples:
    """One part of a data set.

    Attributes
    ----------
    keys : list of str
        N of them, unique; the same on every machine.
    labels : np.ndarray
        int64 [N]
    images : callable
        Given indices in ascending order, int64 [M], yields their images in that order, each uint8 [H, W, 3], RGB. It
        raises `UserError` where an image is missing or damaged.
    containers : tuple of Path
        The files that hold many images each.
    """

    keys: list[str]
    labels: np.ndarray
    images: Callable[[np.ndarray], Iterator[np.ndarray]]
    containers: tuple[Path, ...] = field(default=())
