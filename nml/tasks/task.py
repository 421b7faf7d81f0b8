"""A downstream task from its entry in `catalogue.yaml`, with its images read split by split."""

import hashlib
import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nml import plugins
from nml.artifacts import read_json, sha256_file
from nml.corpora.class_names import read_names
from nml.errors import UserError
from nml.grid import TaskAddress
from nml.task_entries import EmbeddedTask, Layout, Part, TaskEntry
from nml.tasks.class_lists import class_folders, class_names, present_labels
from nml.tasks.embedded import list_embedded, read_embedded
from nml.tasks.fractions import fraction_indices
from nml.tasks.held_out import held_out
from nml.tasks.noise import NOISY_SPLITS, noisy_group, noisy_labels
from nml.tasks.places import find_layout, folder_of, how_to_get, missing_files
from nml.tasks.samples import Classes, Samples

EMBEDDED_VARIANT = "embedded"


@dataclass(frozen=True)
class Task:
    """A task on disk.

    Attributes
    ----------
    name : str
    path : Path
        Its folder.
    class_names : list of str
    test_groups : dict
        The group (`id`, `ood`, `source`, `robustness`) of each test set.
    variant : str
        Which training split it has: `papers`, or how it differs.
    allowed : dict
        For each test set where not all classes occur, the labels that do: predictions are taken among these alone.
    noise_seed : int
        Of the noise in its training and validation labels, if its name has one.
    """

    name: str
    path: Path
    class_names: list[str]
    test_groups: dict[str, str]
    variant: str = EMBEDDED_VARIANT
    allowed: dict[str, list[int]] = field(default_factory=dict)
    noise_seed: int = 0
    _entry: TaskEntry | None = field(default=None, repr=False)
    _layout: Layout | None = field(default=None, repr=False)
    _opened: dict[str, Samples] = field(default_factory=dict, repr=False, compare=False)

    @property
    def splits(self) -> list[str]:
        """The splits: `train`, `val`, and each test set."""
        return ["train", "val", *self.test_groups]

    @property
    def address(self) -> TaskAddress:
        """What the name says: the data set, the noise in its labels, and the part of its training split."""
        return TaskAddress.parse(self.name)


def open_task(name: str, noise_seed: int = 0) -> Task:
    """Find a task's files.

    Parameters
    ----------
    name : an address such as `cifar10`, `cifar10+symmetric-20` or `cifar10@25`
        Noise corrupts the training and validation labels; then the part of the training split is chosen, with the same
        share of every noisy class. Validation and test sets are whole, and the test labels clean.
    noise_seed : `noise_seed` of the configuration

    Raises
    ------
    UserError
        If there is no such task, or it is not on disk: then it says how the task is had.
    """
    address = TaskAddress.parse(name)
    if missing_files(address.name):
        raise UserError(how_to_get(address.name))
    entry = plugins.tasks()[address.name]
    groups = {test: noisy_group(group, address.noise) for test, group in entry.tests.items()}
    if isinstance(entry, EmbeddedTask):
        path = Path(entry.path)
        return Task(name, path, read_names(path / "classnames.txt"), groups, noise_seed=noise_seed)
    layout, names = find_layout(entry), class_names(entry)
    allowed = {test: present_labels(entry, part) for test, part in layout.tests.items() if part.labels}
    return Task(name, folder_of(entry), names, groups, layout.variant, allowed, noise_seed, entry, layout)


def read_split(task: Task, split: str, start: int = 0) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield a split's samples in a fixed order, from the one at `start` on: key, uint8 image [H, W, 3], RGB, and label.

    Images of one split may have different sizes. Those before `start` are not decoded.

    Raises
    ------
    UserError
        If a file, image or label is missing or damaged; it is named.
    """
    if not _is_whole(task, split):
        return _read_varied(task, split, start)
    return read_rows(task, split, np.arange(start, count_samples(task, split)) if start else None)


def read_rows(task: Task, split: str, rows: np.ndarray | None) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield some of a split's samples as `read_split` does, with their clean labels.

    `rows` are ascending places among all samples of the split, whatever part of it the task trains on; None for all.
    """
    if task._layout is None:
        yield from read_embedded(task.name, task.path, split, len(task.class_names), rows)
        return
    samples, chosen = _chosen(task, split)
    chosen = chosen if rows is None else chosen[rows]
    for index, image in zip(chosen, samples.images(chosen), strict=True):
        yield samples.keys[index], image, int(samples.labels[index])


def list_split(task: Task, split: str) -> tuple[list[str], np.ndarray]:
    """Return the keys and labels, int64 [N], of a split, without decoding the images of a real data set.

    Raises
    ------
    UserError
        As `read_split` does.
    """
    if _is_whole(task, split):
        return _listed(task, split)
    keys, labels, _ = _varied(task, split)
    return keys, labels


def count_samples(task: Task, split: str) -> int:
    """Return how many samples a split has, without reading them where a list says it."""
    if task._layout is None and _is_whole(task, split):
        return read_json(task.path / "info.json")["splits"][split]["samples"]
    return len(list_split(task, split)[0])


def fingerprint(task: Task) -> str:
    """Return a hash of what a task holds, in hexadecimal: cheap, and the same wherever the data lies.

    Of an embedded task, that of `info.json`, which has the checksum of every shard. Of a real data set, that of the
    keys and labels of all splits and the sizes of the files that hold many images. An image that is changed under the
    same name in a folder is not noticed.

    Raises
    ------
    UserError
        As `read_split` does, for what names and labels the samples.
    """
    if task._layout is None:
        return sha256_file(task.path / "info.json")
    digest = hashlib.sha256()
    for split in task.splits:
        keys, labels = list_split(task, split)
        digest.update(f"{split}\0{len(keys)}\0".encode() + "\n".join(keys).encode() + labels.astype("<i8").tobytes())
    for name in task._layout.parts:
        sizes = [(file.name, file.stat().st_size) for file in _open_part(task, name).containers]
        digest.update(repr((name, sizes)).encode())
    return digest.hexdigest()


def facts(task: Task) -> dict[str, Any]:
    """Return what features depend on, beside the encoder: the data, its split, its tests and its classes."""
    found = {"data": fingerprint(task), "tests": task.test_groups, "classes": len(task.class_names)}
    if task.address.name != task.name:
        found |= {"address": task.name, "noise_seed": task.noise_seed}
    return found if task._layout is None else found | {"variant": task.variant, "allowed": task.allowed}


def _is_whole(task: Task, split: str) -> bool:
    """Tell whether a split has all its samples with their clean labels."""
    fraction = task.address.fraction if split == "train" else 100
    return fraction == 100 and not (task.address.noise.percent and split in NOISY_SPLITS)


def _varied(task: Task, split: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return keys, labels and places of the samples that noise and fraction leave of a split."""
    address = task.address
    keys, clean = _listed(task, split)
    labels = noisy_labels(clean, keys, len(task.class_names), address.noise, address.name, split, task.noise_seed)
    rows = fraction_indices(labels, keys, address.fraction if split == "train" else 100)
    return [keys[row] for row in rows], labels[rows], rows


def _read_varied(task: Task, split: str, start: int) -> Iterator[tuple[str, np.ndarray, int]]:
    _, labels, rows = _varied(task, split)
    for (key, image, _), label in zip(read_rows(task, split, rows[start:]), labels[start:].tolist(), strict=True):
        yield key, image, label


def _listed(task: Task, split: str) -> tuple[list[str], np.ndarray]:
    if task._layout is None:
        return list_embedded(task.name, task.path, split, len(task.class_names))
    samples, chosen = _chosen(task, split)
    return [samples.keys[index] for index in chosen], samples.labels[chosen]


def _chosen(task: Task, split: str) -> tuple[Samples, np.ndarray]:
    """Return the part that a split lies in, and which of its samples are the split's."""
    if split in task.test_groups or (split == "val" and task._layout.validation):
        samples = _open_part(task, "validation" if split == "val" else split)
        return samples, np.arange(len(samples.keys))
    samples = _open_part(task, "train")
    if task._layout.validation:
        return samples, np.arange(len(samples.keys))
    mask = held_out(samples.keys, samples.labels, task.address.name)
    return samples, np.flatnonzero(mask if split == "val" else ~mask)


def _open_part(task: Task, name: str) -> Samples:
    if name not in task._opened:
        task._opened[name] = _read_part(task, name, task._layout.parts[name])
    return task._opened[name]


def _read_part(task: Task, name: str, part: Part) -> Samples:
    entry, layout = task._entry, task._layout
    reader = importlib.import_module(plugins.module_name(plugins.READERS, layout.reader_of(part)))
    classes = Classes(task.class_names, class_folders(entry), present_labels(entry, part))
    samples = reader.open_samples(folder_of(entry, part.place), classes, **(reader.OPTIONS | layout.options_of(part)))
    _check(f"task '{task.name}', {name} in {folder_of(entry, part.place)}", samples, part.samples, classes)
    return samples


def _check(what: str, samples: Samples, expected: int, classes: Classes) -> None:
    if len(samples.keys) != expected:
        raise UserError(
            f"{what}: there are {len(samples.keys):,} samples, but the catalogue lists {expected:,}. The copy is "
            "incomplete or another version: get it from its source again, or give it an entry of its own "
            "(docs/add-a-data-set.md)."
        )
    if len(set(samples.keys)) < len(samples.keys):
        ((key, times),) = Counter(samples.keys).most_common(1)
        raise UserError(
            f"{what}: sample '{key}' is there {times} times, and another is missing. Get the data set from its source "
            "again."
        )
    strange = np.setdiff1d(samples.labels, classes.present)
    if len(strange):
        key = samples.keys[int(np.flatnonzero(samples.labels == strange[0])[0])]
        raise UserError(
            f"{what}: sample '{key}' has the label {strange[0]}; allowed are {len(classes.present)} labels from "
            f"{min(classes.present)} to {max(classes.present)}. Get the data set from its source again."
        )
