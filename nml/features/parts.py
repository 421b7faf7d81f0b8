"""What an extraction has done so far: parts of the splits, kept beside the cache until all of it is there."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from nml.pretraining.checkpoints import load_tensors, save_tensors

EVERY = 60.0
"""Seconds between two parts; an extraction that takes less leaves none."""

Part = tuple[np.ndarray, list[int], list[str]]
"""Features float32 [V, n, D] of a stretch of a split in V views, labels and keys."""


class Parts:
    """The parts in a folder that were made of the same as those to come; others are passed over.

    Parameters
    ----------
    folder : Path
    made_of : dict
        What the features are made of, as JSON can hold it.
    """

    def __init__(self, folder: Path, made_of: dict[str, Any]) -> None:
        self._folder, self._made_of = folder, made_of
        self._started = self._written = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time for another part."""
        return time.monotonic() - self._written >= EVERY

    @property
    def is_long(self) -> bool:
        """Whether the extraction takes so long that the end of each split is worth keeping."""
        return time.monotonic() - self._started >= EVERY

    def read(self, split: str) -> Iterator[Part]:
        """Yield the parts of a split that follow each other from its first sample."""
        start = 0
        while (part := self._read(self._file(split, start))) is not None:
            yield part
            start += len(part[1])

    def write(self, split: str, start: int, features: np.ndarray, labels: list[int], keys: list[str]) -> None:
        """Keep the features float32 [V, n, D], labels and keys of the samples from `start` on."""
        tensors = {"features": torch.from_numpy(features), "labels": torch.tensor(labels, dtype=torch.int64)}
        save_tensors(self._file(split, start), tensors, {"made_of": self._made_of, "keys": keys})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, split: str, start: int) -> Path:
        return self._folder / f"{split}-{start:09}.safetensors"

    def _read(self, file: Path) -> Part | None:
        try:
            tensors, header = load_tensors(file)
        except (FileNotFoundError, SafetensorError):
            return None
        if header["made_of"] != self._made_of:
            return None
        return tensors["features"].numpy(), tensors["labels"].tolist(), header["keys"]
