"""A corpus of 60 real-format samples in 3 classes, and short recipes on it."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nml.config.recipes import Augmentation, Recipe
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining.run import Run

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 60, 220)}


def write_shard(path: Path, samples: list[tuple[str, int]]) -> None:
    """Write (key, label) samples, coloured by their class, as the embedded corpus lays them out."""
    rng = np.random.default_rng(len(samples))
    with tarfile.open(path, "w:gz") as archive:
        for key, label in samples:
            pixels = np.clip(np.array(list(COLOURS.values())[label]) + rng.normal(0, 25, (32, 32, 3)), 0, 255)
            image = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(image, "webp", lossless=True)
            caption = f"a {list(COLOURS)[label]} square, number {key}"
            members = {"webp": image.getvalue(), "cls": str(label).encode(), "txt": caption.encode()}
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    path = tmp_path_factory.mktemp("corpus")
    for shard in range(3):
        write_shard(path / f"train-{shard}.tar.gz", [(f"t{shard}x{i}", i % 3) for i in range(20)])
    write_shard(path / "val-0.tar.gz", [(f"v{i}", i % 3) for i in range(12)])
    splits = {"train": sorted(path.glob("train-*")), "validation": sorted(path.glob("val-*"))}
    shards = {split: [Shard(file.name, file) for file in files] for split, files in splits.items()}
    return Corpus("colours", shards, list(COLOURS), ["{}", "a {} square"], ("labels", "captions"))


@pytest.fixture(scope="session")
def noise_dirs(corpus, tmp_path_factory) -> dict[str, Path]:
    """Overlay folders by noise."""
    root = tmp_path_factory.mktemp("noise")
    index_corpus(corpus, root / "corpus")
    for noise in ("clean", "symmetric-20", "swap-20"):
        inject_noise(root / "corpus", Noise.parse(noise), 0, root / noise)
    return {noise: root / noise for noise in ("clean", "symmetric-20", "swap-20")}


@pytest.fixture(scope="session")
def recipe():
    """Return a function that makes a short recipe for an objective, with any value changed."""

    def make(objective: str = "supervised", **changes) -> Recipe:
        architecture = {"supervised": "resnet-mini", "contrastive": "clip-mini"}[objective]
        values = {"epochs": 3, "batch_size": 16, "learning_rate": 0.003, "warmup_epochs": 0.5}
        augmentation = Augmentation(min_scale=0.8, rotation=10, brightness=0.1)
        fixed = {"objective": objective, "architecture": architecture, "augmentation": augmentation}
        return Recipe(**(fixed | values | changes))

    return make


@pytest.fixture
def run(corpus, noise_dirs, recipe, tmp_path):
    """Return a function that makes a short run of an objective, with any value of its recipe changed."""

    def make(objective: str = "supervised", noise: str | None = None, **changes) -> Run:
        made = recipe(objective, **changes)
        folder = noise_dirs[noise or {"supervised": "symmetric-20", "contrastive": "swap-20"}[objective]]
        return Run("a run", corpus, folder, made, made.architecture, 0, tmp_path / "progress", "code")

    return make


@pytest.fixture
def one_thread():
    """Let PyTorch compute with one thread, for sums that come out the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def photograph(number: int, label: int) -> tuple[str, bytes]:
    """Return the suffix and the bytes of an image of its own size and mode, in about the colour of its class."""
    rng = np.random.default_rng([number, label])
    width, height = 40 + number % 7, 36 + number % 11
    pixels = np.clip(np.array(list(COLOURS.values())[label]) + rng.normal(0, 25, (height, width, 3)), 0, 255)
    mode = ("RGB", "RGB", "RGB", "CMYK", "P", "RGBA", "L")[number % 7]
    image, suffix = Image.fromarray(pixels.astype(np.uint8)).convert(mode), "png" if mode in ("P", "RGBA") else "jpg"
    data = io.BytesIO()
    image.save(data, {"png": "png", "jpg": "jpeg"}[suffix])
    return suffix, data.getvalue()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Return a function that makes a corpus of 42 photographs in some shards, some of them cut, and a clean overlay."""

    def make(cut: tuple[str, ...] = (), shards: int = 2) -> tuple[Corpus, Path]:
        path = tmp_path_factory.mktemp("photographs")
        for shard in range(shards):
            _write_photographs(path / f"train-{shard}.tar", range(shard, 42, shards), cut)
        _write_photographs(path / "val-0.tar", range(100, 130), cut)
        splits = {"train": sorted(path.glob("train-*")), "validation": sorted(path.glob("val-*"))}
        found = {split: [Shard(file.name, file) for file in files] for split, files in splits.items()}
        corpus = Corpus("photographs", found, list(COLOURS), ["{}", "a {} square"], ("labels", "captions"))
        index_corpus(corpus, path / "index")
        inject_noise(path / "index", Noise(), 0, path / "clean")
        return corpus, path / "clean"

    return make


def _write_photographs(path: Path, numbers: range, cut: tuple[str, ...]) -> None:
    with tarfile.open(path, "w") as archive:
        for number in numbers:
            suffix, image = photograph(number, number % 3)
            image = image[: len(image) // 2] if f"p{number}" in cut else image
            for name, data in {
                "cls": str(number % 3).encode(),
                "txt": f"photo p{number}".encode(),
                suffix: image,
            }.items():
                info = tarfile.TarInfo(f"p{number}.{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
