"""Features of one (encoder, task) on disk: three files, read without PyTorch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from nml.artifacts import atomic_path, read_json, write_json, write_parquet

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
    do; `variant` says which training split it is (`nml.tasks.task.Task`).
    """

    task: str
    num_classes: int
    train: Split
    validation: Split
    tests: dict[str, Split]
    groups: dict[str, str]
    allowed: dict[str, list[int]] = field(default_factory=dict)
    variant: str = ""


def save_features(found: TaskFeatures, key: dict[str, Any], folder: Path) -> None:
    """Write a task's features; `key` names what they were made from. `meta.json` comes last, and makes them valid."""
    (folder / "meta.json").unlink(missing_ok=True)
    splits = {"train": found.train, "val": found.validation, **found.tests}
    with atomic_path(folder / "features.safetensors") as temporary:
        save_file({name: np.ascontiguousarray(split.features) for name, split in splits.items()}, temporary)
    columns: dict[str, list[Any]] = {"split": [], "key": [], "label": []}
    for name, split in splits.items():
        columns["split"] += [name] * len(split.keys)
        columns["key"] += split.keys
        columns["label"] += split.labels.tolist()
    write_parquet(folder / "samples.parquet", columns)
    meta = {"task": found.task, "num_classes": found.num_classes, "groups": found.groups, "key": key}
    meta |= {"allowed": found.allowed, "variant": found.variant}
    write_json(folder / "meta.json", meta | {"dim": found.train.features.shape[1]})


def stored_key(folder: Path) -> dict[str, Any] | None:
    """Return what the features in a folder were made from, or None if any of their files is missing."""
    if not all((folder / name).is_file() for name in FILES):
        return None
    return read_json(folder / "meta.json")["key"]


def load_features(folder: Path) -> TaskFeatures:
    """Read what `save_features` wrote."""
    meta = read_json(folder / "meta.json")
    features = load_file(folder / "features.safetensors")
    samples = pq.ParquetFile(folder / "samples.parquet").read()
    split, label = samples["split"].to_numpy(), samples["label"].to_numpy()
    key = np.asarray(samples["key"].to_pylist(), dtype=object)
    splits = {
        name: Split(features[name], label[split == name], key[split == name].tolist())
        for name in dict.fromkeys(split.tolist())
    }
    train, validation = splits.pop("train"), splits.pop("val")
    about = (meta["groups"], meta["allowed"], meta["variant"])
    return TaskFeatures(meta["task"], meta["num_classes"], train, validation, splits, *about)
