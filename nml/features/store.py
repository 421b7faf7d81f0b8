"""Features of one (encoder, task) on disk: three files, written without a copy and mapped when read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nml.artifacts import atomic_path, read_json, write_json, write_parquet
from nml.errors import UserError

FILES = ("features.safetensors", "samples.parquet", "meta.json")


@dataclass(frozen=True)
class Split:
    """Features float32 [N, D], labels int64 [N] and keys [N] of one split."""

    features: np.ndarray
    labels: np.ndarray
    keys: list[str]


@dataclass(frozen=True)
class TaskFeatures:
    """All splits of a task under one encoder.

    `groups` names the group of each test set; `allowed`, for a test set where not all classes occur, the labels that
    do; `variant` says which training split it is (`nml.tasks.task.Task`). `views` float32 [V, N, D] are all views of
    the training images where there are several; the first is `train`.
    """

    task: str
    num_classes: int
    train: Split
    validation: Split
    tests: dict[str, Split]
    groups: dict[str, str]
    allowed: dict[str, list[int]] = field(default_factory=dict)
    variant: str = ""
    views: np.ndarray | None = None


def save_features(found: TaskFeatures, key: dict[str, Any], folder: Path) -> None:
    """Write a task's features; `key` names what they were made from. `meta.json` comes last, and makes them valid."""
    (folder / "meta.json").unlink(missing_ok=True)
    splits = {"train": found.train, "val": found.validation, **found.tests}
    features = {name: split.features for name, split in splits.items()}
    _write(folder / "features.safetensors", features if found.views is None else features | {"train": found.views})
    columns: dict[str, list[Any]] = {"split": [], "key": [], "label": []}
    for name, split in splits.items():
        columns["split"] += [name] * len(split.keys)
        columns["key"] += split.keys
        columns["label"] += split.labels.tolist()
    write_parquet(folder / "samples.parquet", columns)
    meta = {"task": found.task, "num_classes": found.num_classes, "groups": found.groups, "key": key}
    write_json(folder / "meta.json", meta | {"allowed": found.allowed, "variant": found.variant})


def stored_key(folder: Path) -> dict[str, Any] | None:
    """Return what the features in a folder were made from, or None if a file is missing or does not say."""
    if not all((folder / name).is_file() for name in FILES):
        return None
    try:
        return read_json(folder / "meta.json")["key"]
    except (ValueError, KeyError, TypeError):
        return None


def load_features(folder: Path) -> TaskFeatures:
    """Read what `save_features` wrote.

    Raises
    ------
    UserError
        If one of the files is damaged, or another one; its folder is named.
    OSError
        If the system does not let them be read: permissions, too many open files.
    """
    try:
        return _load(folder)
    # Wrong JSON, a missing key or column, Arrow's and NumPy's errors, and a header that promises another size.
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        # Arrow's own have no number; those of the system say nothing of the files.
        if getattr(error, "errno", None) is not None:
            raise
        raise UserError(
            f"the features in {folder} are damaged or not those of nml ({type(error).__name__}: {error}). Delete that "
            "folder; they are extracted again."
        ) from error


def _load(folder: Path) -> TaskFeatures:
    meta = read_json(folder / "meta.json")
    features = map_arrays(folder / "features.safetensors")
    views = features["train"] if features["train"].ndim == 3 else None
    if views is not None:
        features["train"] = views[0]
    samples = pq.ParquetFile(folder / "samples.parquet").read()
    split, label = samples["split"].to_numpy(), samples["label"].to_numpy()
    key = np.asarray(samples["key"].to_pylist(), dtype=object)
    splits = {
        name: Split(features[name], label[split == name], key[split == name].tolist())
        for name in dict.fromkeys(split.tolist())
    }
    train, validation = splits.pop("train"), splits.pop("val")
    about = (meta["groups"], meta["allowed"], meta["variant"], views)
    return TaskFeatures(meta["task"], meta["num_classes"], train, validation, splits, *about)


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write float32 arrays as safetensors, straight from where they are: the library would copy them all."""
    header, end = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [end, end + 4 * array.size]}
        end += 4 * array.size
    text = json.dumps(header).encode()
    # The data begin at a multiple of eight bytes, for the sake of those who map them.
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            np.ascontiguousarray(array, dtype="<f4").tofile(file)


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name, read-only: what is not looked at is never read."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError(f"the header of {path.name} is longer than the file")
        header = json.loads(file.read(size))
    return {
        name: np.memmap(path, "<f4", "r", 8 + size + entry["data_offsets"][0], tuple(entry["shape"]))
        for name, entry in header.items()
        if name != "__metadata__"
    }
