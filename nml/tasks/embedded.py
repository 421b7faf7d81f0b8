"""The tasks that come with this project: shards in a folder of their own for each split, listed in `info.json`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nml.artifacts import read_json
from nml.corpora.shards import decode_image, decode_label, read_samples
from nml.errors import UserError


def read_embedded(
    name: str, path: Path, split: str, classes: int, rows: np.ndarray | None = None
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield a split's samples in the order of its shards: key, uint8 image [H, W, 3] and label.

    With `rows`, places in that order, only these are decoded.

    Raises
    ------
    UserError
        If a shard, image or label is missing or damaged; shard and key are named.
    """
    wanted = None if rows is None else set(rows.tolist())
    for place, sample in enumerate(_samples(name, path, split)):
        if wanted is None or place in wanted:
            yield sample["__key__"], decode_image(sample), decode_label(sample, classes)


def list_embedded(name: str, path: Path, split: str, classes: int) -> tuple[list[str], np.ndarray]:
    """Return the keys and labels, int64 [N], of a split in the order of its shards, without decoding its images.

    Raises
    ------
    UserError
        As `read_embedded` does.
    """
    found = [(sample["__key__"], decode_label(sample, classes)) for sample in _samples(name, path, split)]
    return [key for key, _ in found], np.asarray([label for _, label in found], dtype=np.int64)


def _samples(name: str, path: Path, split: str) -> Iterator[dict[str, Any]]:
    folder = path / split
    try:
        count = int((folder / "nshards.txt").read_text())
    except (FileNotFoundError, ValueError):
        raise UserError(f"task '{name}': {folder / 'nshards.txt'} must hold the number of shards.") from None
    samples = 0
    for sample in read_samples(_shard(folder, number) for number in range(count)):
        yield sample
        samples += 1
    listed = read_json(path / "info.json")["splits"][split]["samples"]
    if samples != listed:
        raise UserError(f"task '{name}': {folder} holds {samples} samples, but info.json lists {listed}.")


def _shard(folder: Path, number: int) -> Path:
    packed = folder / f"{number}.tar.gz"
    return packed if packed.exists() else folder / f"{number}.tar"
