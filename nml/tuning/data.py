"""The data that all heads of an (encoder, task) share: checked once, on the device where they fit, else in host memory.

Features are not copied on the host: arrays that are mapped from a file stay there, and on the CPU are read in place.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nml.errors import UserError
from nml.leases import gpu_share

ROWS_AT_ONCE = 8192
"""Samples taken at once where all of a split is gone through."""

FREE_SHARE = 0.5
"""Share of a GPU's free memory that one thing may fill: larger training features stay on the host.

Of what is free then, stacked heads fill no more than this share.
"""

ALL = 100
"""The fraction, in percent, that is the whole training split."""


class Rows:
    """The rows of one matrix of features, float32 [N, D], whose home is the device or the host."""

    def __init__(self, array: np.ndarray, device: torch.device) -> None:
        with warnings.catch_warnings():
            # Mapped read-only; nothing here writes.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.home = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        self.device = device
        if self.home.nbytes <= room(device):
            self.home = self.home.to(device)

    def __len__(self) -> int:
        return len(self.home)

    @property
    def dimensions(self) -> int:
        """D, the width of the features."""
        return self.home.shape[1]

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows int64 [...] as float32 [..., D] on the device."""
        found = self.home.index_select(0, rows.flatten().to(self.home.device))
        return found.view(*rows.shape, -1).to(self.device, non_blocking=True)

    def chunks(self, size: int = ROWS_AT_ONCE, end: int | None = None) -> Iterator[Tensor]:
        """Yield the rows in order, all or up to `end`, at most `size` at once, on the device."""
        for chunk in self.home[:end].split(size):
            yield chunk.to(self.device)


def room(device: torch.device) -> float:
    """Return how many bytes of one kind, features or stacked heads, may go to a device."""
    if device.type != "cuda":
        return float("inf")
    free, total = torch.cuda.mem_get_info(device)
    # Jobs that share a device each find the same memory free.
    return FREE_SHARE * min(free, gpu_share() * total)


@dataclass(frozen=True)
class TrainingSet:
    """What a fraction of the heads is trained on: the samples `places` [n] of the training split, without augmentation.

    Attributes
    ----------
    rows : Rows of V N features: view after view, each with all N samples of the split
    places : int64 [n], on the host
    labels : int64 [n], on the device
    num_classes : int
    split_size : int
        N.
    most_views : int or None
        How many of the views are drawn from at most; all of them if None.
    """

    rows: Rows
    places: Tensor
    labels: Tensor
    num_classes: int
    split_size: int
    most_views: int | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def views(self) -> int:
        """How many views of each sample are drawn from."""
        available = len(self.rows) // self.split_size
        return min(available, self.most_views or available)

    def chunks(self, size: int = ROWS_AT_ONCE) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the plain features [b, D] and the labels [b] of all samples in order, on the device."""
        if len(self) == self.split_size:
            # In place: to gather rows is to copy them.
            yield from zip(self.rows.chunks(size, self.split_size), self.labels.split(size), strict=True)
            return
        for places, labels in zip(self.places.split(size), self.labels.split(size), strict=True):
            yield self.rows.gather(places), labels


@dataclass(frozen=True)
class Data:
    """Training features with their views and labels, validation features and labels; the labels on the device."""

    train: Rows
    train_y: Tensor
    val: Rows
    val_y: Tensor
    num_classes: int
    subsets: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the heads are trained."""
        return self.train.device

    def training_set(self, fraction: int, views: int | None = None) -> TrainingSet:
        """Return what the heads of a fraction are trained on; raise `UserError` if the fraction was not given."""
        samples = len(self.train_y)
        if fraction == ALL:
            return TrainingSet(self.train, torch.arange(samples), self.train_y, self.num_classes, samples, views)
        if fraction not in self.subsets:
            raise UserError(f"there are no samples for a fraction of {fraction} %; given: {sorted(self.subsets)}")
        places = torch.from_numpy(np.asarray(self.subsets[fraction], dtype=np.int64))
        labels = self.train_y[places.to(self.device)]
        return TrainingSet(self.train, places, labels, self.num_classes, samples, views)


def prepare(
    train_x: np.ndarray,
    train_y: np.ndarray,
    val_x: np.ndarray,
    val_y: np.ndarray,
    num_classes: int,
    subsets: Mapping[int, np.ndarray],
    device: torch.device,
) -> Data:
    """Check the data and put them where they are needed; parameters and errors as `engine.fit`."""
    views = train_x if train_x.ndim == 3 else train_x[None]
    for view in views:
        _check_split("training", view, train_y, num_classes, train_x.shape[-1])
    _check_split("validation", val_x, val_y, num_classes, train_x.shape[-1])
    for fraction, places in subsets.items():
        if len(places) == 0:
            raise UserError(f"a fraction of {fraction} % has no training samples; ask for more")
    labels = [torch.tensor(np.asarray(values, dtype=np.int64), device=device) for values in (train_y, val_y)]
    rows = Rows(views.reshape(-1, train_x.shape[-1]), device)
    return Data(rows, labels[0], Rows(val_x, device), labels[1], num_classes, subsets)


def check_features(split: str, features: np.ndarray, dimensions: int) -> None:
    """Raise `UserError` if features are not finite, or not [N, dimensions]."""
    if features.ndim != 2 or features.shape[1] != dimensions:
        raise UserError(
            f"the {split} split has features of shape {features.shape}; needed are [N, {dimensions}], "
            "as wide as the training features. Extract all splits again with one encoder."
        )
    for start in range(0, len(features), ROWS_AT_ONCE):
        if not np.isfinite(features[start : start + ROWS_AT_ONCE]).all():
            raise UserError(f"the {split} split has features that are not finite; extract them again")


def _check_split(split: str, features: np.ndarray, labels: np.ndarray, num_classes: int, dimensions: int) -> None:
    check_features(split, features, dimensions)
    if len(features) == 0 or len(features) != len(labels):
        raise UserError(f"the {split} split has {len(features)} features and {len(labels)} labels; needed is one each")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(
            f"the {split} split has labels from {labels.min()} to {labels.max()}; allowed are 0 to {num_classes - 1}"
        )
