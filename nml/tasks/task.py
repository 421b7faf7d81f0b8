"""A downstream task from its entry in `catalogue.yaml`, with its images read split by split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nml import plugins
from nml.artifacts import read_json
from nml.corpora.shards import decode_image, decode_label, read_samples
from nml.errors import UserError


@dataclass(frozen=True)
class Task:
    """A task's folder, class names, and test sets with their groups (`id`, `ood`, `source`)."""

    name: str
    path: Path
    class_names: list[str]
    test_groups: dict[str, str]

    @property
    def splits(self) -> list[str]:
        """The splits as they are named on disk: `train`, `val`, and one folder a test set."""
        return ["train", "val", *self.test_groups]


def open_task(name: str) -> Task:
    """Find a task's files.

    Raises
    ------
    UserError
        If its folder or class names are missing.
    """
    if name not in plugins.tasks():
        raise UserError(f"there is no task '{name}' in nml/tasks/catalogue.yaml: {', '.join(plugins.tasks())}.")
    entry = plugins.tasks()[name]
    path = Path(entry["path"])
    try:
        class_names = (path / "classnames.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"task '{name}' is not on disk: {path / 'classnames.txt'} is missing.") from None
    return Task(name, path, class_names, entry["tests"])


def read_split(task: Task, split: str) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield a split's samples in the order of its shards: key, uint8 image [H, W, 3] and label.

    Raises
    ------
    UserError
        If a shard, image or label is missing or damaged; shard and key are named.
    """
    folder = task.path / split
    try:
        count = int((folder / "nshards.txt").read_text())
    except (FileNotFoundError, ValueError):
        raise UserError(f"task '{task.name}': {folder / 'nshards.txt'} must hold the number of shards.") from None
    samples = 0
    for sample in read_samples(_shard(folder, number) for number in range(count)):
        yield sample["__key__"], decode_image(sample), decode_label(sample, len(task.class_names))
        samples += 1
    listed = read_json(task.path / "info.json")["splits"][split]["samples"]
    if samples != listed:
        raise UserError(f"task '{task.name}': {folder} holds {samples} samples, but info.json lists {listed}.")


def _shard(folder: Path, number: int) -> Path:
    packed = folder / f"{number}.tar.gz"
    return packed if packed.exists() else folder / f"{number}.tar"
