"""WebDataset shards, as clip-benchmark's `wds_*` and timm's copies have them: an image and its label a sample."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nml.corpora.shards import decode_label, image_suffix, sample_at, scan_samples, split_name
from nml.errors import UserError
from nml.tasks.images import decode
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN, read_lines

OPTIONS = {"shards": None, "count": ""}


def open_samples(place: Path, classes: Classes, shards: str, count: str) -> Samples:
    """Open one part: the labels of all samples, and where each lies.

    Parameters
    ----------
    shards : the pattern of the tars, uncompressed
    count : a file that says how many there must be
    """
    paths = sorted(place.glob(shards), key=lambda path: (len(path.name), path.name))
    if count:
        _check_count(place / count, paths)
    found = [(path, sample, offset) for path in paths for sample, offset in scan_samples(path, {"cls"})]
    labels = [decode_label(sample, len(classes.names)) for _, sample, _ in found]
    places = [(path, sample["__key__"], offset, image_suffix(sample)) for path, sample, offset in found]
    keys = [f"{path.parent.name}/{path.stem}/{key}" for path, key, _, _ in places]

    def images(indices: np.ndarray) -> Iterator[np.ndarray]:
        for path, group in groupby((places[index] for index in indices), key=lambda place: place[0]):
            with open(path, "rb") as stream:
                for _, key, offset, suffix in group:
                    yield decode(_member(path, stream, key, offset, suffix), f"sample '{key}' in {path}")

    return Samples(keys, np.asarray(labels, dtype=np.int64), images, tuple(paths))


def _member(path: Path, stream: Any, key: str, offset: int, suffix: str) -> bytes:
    for header, read in sample_at(path, stream, key, offset):
        if split_name(header.name)[1] == suffix:
            return read()
    raise UserError(f"sample '{key}' in {path} is no longer where it was. Was the shard changed meanwhile? Run again.")


def _check_count(file: Path, paths: list[Path]) -> None:
    lines = read_lines(file)
    if lines[:1] != [str(len(paths))]:
        raise UserError(f"{file} says {' '.join(lines[:1])} shards, and {len(paths)} are there. {AGAIN}")
