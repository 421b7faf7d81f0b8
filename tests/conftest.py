"""A tiny corpus and a tiny task, in the exact form that the real ones have on disk."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from nml import plugins
from nml.artifacts import sha256_file

# The same examples on every machine, however busy it is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

CLASSES = ["red", "green", "blue"]
Member = tuple[str, bytes]
Sample = tuple[str, int, str]


def webp(label: int, number: int) -> bytes:
    """Return an 8 x 8 image in about the colour of its class."""
    pixels = np.random.default_rng([label, number]).integers(0, 90, (8, 8, 3), dtype=np.uint8)
    pixels[..., label] += 160
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "webp", lossless=True)
    return buffer.getvalue()


def members_of(samples: Iterable[Sample]) -> list[Member]:
    """Return the files of samples (key, label, caption), in the order that WebDataset wants them."""
    files: list[Member] = []
    for number, (key, label, caption) in enumerate(samples):
        files += [(f"{key}.cls", str(label).encode()), (f"{key}.txt", caption.encode())]
        files += [(f"{key}.webp", webp(label, number))]
    return files


@pytest.fixture(scope="session")
def write_shard() -> Callable[[Path, list[Member]], Path]:
    """Write named files into a `.tar` or `.tar.gz`."""

    def write(path: Path, members: list[Member]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w", format=tarfile.GNU_FORMAT) as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture(scope="session")
def sample_files() -> Callable[[Iterable[Sample]], list[Member]]:
    """Turn samples (key, label, caption) into the members of a shard."""
    return members_of


def describe(folder: Path, splits: dict[str, dict[str, int]]) -> None:
    """Write `classnames.txt` and `info.json`; `splits` holds the number of samples of each shard of each split."""
    (folder / "classnames.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    info: dict[str, Any] = {"name": folder.name, "classes": len(CLASSES), "licence": "CC0-1.0", "splits": {}}
    for split, shards in splits.items():
        entries = [
            {"file": file, "samples": count, "sha256": sha256_file(folder / file)} for file, count in shards.items()
        ]
        info["splits"][split] = {"samples": sum(shards.values()), "shards": entries}
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")


@pytest.fixture
def tiny_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_shard: Callable) -> Path:
    """Return the folder of the corpus `tiny`: 3 classes; 4 training shards of 6 samples, 1 validation shard of 6."""
    folder = tmp_path / "tiny"
    splits: dict[str, dict[str, int]] = {"train": {}, "val": {}}
    for split, count in (("train", 4), ("val", 1)):
        for shard in range(count):
            name = f"tiny-{split}-{shard:02d}.tar" + (".gz" if shard % 2 else "")
            samples = [(f"{split}{shard}{i}", i % 3, f"a {CLASSES[i % 3]} thing {split}{shard}{i}") for i in range(6)]
            write_shard(folder / name, members_of(samples))
            splits[split][name] = len(samples)
    describe(folder, splits)
    entry = {"path": str(folder), "train": "tiny-train-*.tar*", "validation": "tiny-val-*.tar*"}
    entry |= {"classes": "classnames.txt", "templates": ["{}", "a {} thing"]}
    monkeypatch.setattr(plugins, "corpora", lambda: {"tiny": entry})
    return folder


@pytest.fixture
def tiny_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_shard: Callable) -> Path:
    """Return the folder of the task `tiny-domains`: `train` (12 samples), `val`, and test sets `test`, `test-far`."""
    folder = tmp_path / "tiny-domains"
    splits = {}
    for split, count in (("train", 12), ("val", 6), ("test", 6), ("test-far", 6)):
        write_shard(
            folder / split / "0.tar.gz", members_of((f"{split}{i:02d}", i % 3, "a thing") for i in range(count))
        )
        (folder / split / "nshards.txt").write_text("1\n")
        splits[split] = {f"{split}/0.tar.gz": count}
    describe(folder, splits)
    entry = {"path": str(folder), "tests": {"test": "id", "test-far": "ood"}}
    monkeypatch.setattr(plugins, "tasks", lambda: {"tiny-domains": entry})
    return folder
