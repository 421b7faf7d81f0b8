"""The images of a task for tuning an encoder: decoded once, held on disk, and changed anew in every training step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from nml.artifacts import read_json, write_json, write_parquet
from nml.encoders import LoadedEncoder
from nml.tasks.fractions import fraction_indices
from nml.tasks.task import Task, read_split
from nml.tuning.whitebox.pixels import Pixels, open_pixels, write_pixels
from nml.tuning.whitebox.views import Arrays, Views

IMAGES_AT_ONCE = 256
"""Images that are encoded together where no gradient is needed."""


@dataclass(frozen=True)
class Images:
    """One split: its images as they are held, labels int64 [N] and keys [N]."""

    pixels: Pixels
    labels: np.ndarray
    keys: list[str]

    def drawn(self, rows: np.ndarray, views: Views, seed: int) -> Arrays:
        """Return some training images after what the host does to them."""
        return views.drawn([self.pixels[row] for row in rows.tolist()], seed)

    def batches(self, views: Views, are_whole: bool = False) -> Iterator[Tensor]:
        """Yield all images in their order, as the encoder takes them, without random changes.

        Training images are held whole, those of other splits as `views` crops them.
        """
        for start in range(0, len(self.pixels), IMAGES_AT_ONCE):
            images = [self.pixels[row] for row in range(start, min(start + IMAGES_AT_ONCE, len(self.pixels)))]
            yield views.test_input([views.held_for_test(image) for image in images] if are_whole else images)


@dataclass(frozen=True)
class TaskImages:
    """All splits of a task; `groups` names the group of each test set.

    It is `id`, `ood`, `source` or `robustness`; of a task with label noise, with the noise, such as `id+symmetric-20`.
    `allowed` has, for a test set where not all classes occur, those that do: predictions are taken among these alone.
    `variant` says which training split it is (`nml.tasks.task.Task`).
    """

    task: str
    num_classes: int
    train: Images
    validation: Images
    tests: dict[str, Images]
    groups: dict[str, str]
    allowed: dict[str, list[int]] = field(default_factory=dict)
    variant: str = ""

    def part(self, percent: int) -> "TaskImages":
        """Return the task with a percentage of the training images of each class, those that heads are tuned on."""
        rows = fraction_indices(self.train.labels, self.train.keys, percent)
        keys = [self.train.keys[row] for row in rows.tolist()]
        return replace(self, train=Images(self.train.pixels.chosen(rows), self.train.labels[rows], keys))


def read_images(task: Task, views: Views, folder: Path, made_from: str = "") -> TaskImages:
    """Read every split of a task, and hold its images in a folder; those that are there already are not decoded again.

    Parameters
    ----------
    task : Task
    views : Views
        How images become the encoder's input; it decides what of an image is held.
    folder : Path
    made_from : str
        Names all that the held images depend on: data, code, and the parameters of `views`.

    Raises
    ------
    UserError
        If the task's files are damaged, or the disk is full.
    """
    train = _read(task, "train", views.held, folder, made_from)
    names = [name for name in task.splits if name != "train"]
    others = {name: _read(task, name, views.held_for_test, folder, made_from) for name in names}
    validation = others.pop("val")
    return TaskImages(
        task.name, len(task.class_names), train, validation, others, task.test_groups, task.allowed, task.variant
    )


def blank_input(encoder: LoadedEncoder) -> Tensor:
    """Return one black image as an encoder takes it [1, 3, S, S]."""
    return encoder.transform(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def _read(task: Task, split: str, held: Callable[[np.ndarray], np.ndarray], folder: Path, made_from: str) -> Images:
    file, listed, record = (folder / f"{split}.{kind}" for kind in ("pixels", "parquet", "json"))
    if not _is_held(file, listed, record, made_from):
        record.unlink(missing_ok=True)
        _write(task, split, held, file, listed)
        write_json(record, made_from)
    rows = pq.ParquetFile(listed).read()
    return Images(open_pixels(file, _shapes(rows)), rows["label"].to_numpy(), rows["key"].to_pylist())


def _is_held(file: Path, listed: Path, record: Path, made_from: str) -> bool:
    """Tell whether a split's images are held, made from the same, and their files are whole by their sizes."""
    try:
        if read_json(record) != made_from:
            return False
        return file.stat().st_size == _shapes(pq.ParquetFile(listed).read()).prod(axis=1).sum()
    except (OSError, ValueError, KeyError):
        return False


def _shapes(rows: pa.Table) -> np.ndarray:
    """Return the shapes int64 [N, 3] of listed images."""
    return np.stack([rows["height"].to_numpy(), rows["width"].to_numpy(), np.full(len(rows), 3)], axis=1)


def _write(task: Task, split: str, held: Callable[[np.ndarray], np.ndarray], file: Path, listed: Path) -> None:
    keys, labels = [], []

    def images() -> Iterator[np.ndarray]:
        for key, image, label in read_split(task, split):
            keys.append(key)
            labels.append(label)
            yield held(image)

    shapes = write_pixels(file, images()).shapes
    columns = {"key": keys, "label": np.asarray(labels, dtype=np.int64), "height": shapes[:, 0], "width": shapes[:, 1]}
    write_parquet(listed, columns)
