"""Tiny corpora and a tiny task, in the exact form that the real ones have on disk."""

import io
import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from nml import plugins
from nml.artifacts import locked, read_json, sha256_file
from nml.noise.overlay import Changes, read_overlay
from nml.preemption import SIGNALS
from nml.task_entries import EmbeddedTask

# The same examples on every machine, however busy it is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Of memory: a process that holds PyTorch and the tests, and two jobs of a workflow that it runs.
BYTES_PER_PROCESS = 3 * 2**30
MOST_PROCESSES = 16


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `pytest -n auto` starts, if there is memory for them: one more than cores to be used.

    Some tests wait: for a scheduler, a browser, an end.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (bound := limit.read_text().strip()).isdigit():
        memory = min(memory, int(bound))
    return max(1, min(len(os.sched_getaffinity(0)) + 1, memory // BYTES_PER_PROCESS, MOST_PROCESSES))


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Answer signals as before a test: a job that is done ignores them to the end of its process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# Files that take longest or wait longest, in about that order. Those that are left follow, runs of the workflow first.
# The third needs no finished run, which others wait for until the second has made it.
FIRST = (
    *("workflow/test_slurm.py", "workflow/test_reruns.py", "workflow/test_processes.py", "workflow/test_chaos.py"),
    *("workflow/test_kills.py", "workflow/test_kubernetes.py", "workflow/test_paper.py", "pretraining/test_launch.py"),
    *("pretraining/test_torchrun.py", "reporting/test_browser.py", "pretraining/test_world.py"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes, put the longest tests first, so that the last ones to end are short."""
    if hasattr(config, "workerinput"):
        here = Path(__file__).parent
        places = {here / name: place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: (places.get(item.path, len(FIRST)), "workflow" not in item.keywords))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made by the first of pytest's processes that asks for it. Do not change what is in it."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with locked(shared):
        if not shared.exists():
            folder = factory.mktemp(f"making-{name}")
            make(folder)
            folder.rename(shared)
    return shared


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


def overlay_of(noise_dir: Path, shard: str) -> Changes:
    """Return what a noise changes in a shard."""
    return read_overlay(noise_dir, shard, read_json(noise_dir / "manifest.json")["overlay"][shard])


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
    entry |= {"classes": "classnames.txt", "templates": ["{}", "a {} thing"], "has": ["labels", "captions"]}
    entry |= {"source": "a shelf", "licence": "CC0-1.0", "access": "look", "samples": "30", "size": "9 kB"}
    entry |= {"check_images": True}
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
    entry = EmbeddedTask(path=str(folder), tests={"test": "id", "test-far": "ood"})
    monkeypatch.setattr(plugins, "tasks", lambda: {"tiny-domains": entry})
    return folder


def jpeg(number: int) -> bytes:
    """Return an 8 x 8 JPEG."""
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg")
    return buffer.getvalue()


WNIDS = ["n01440764", "n01443537", "n01484850"]


def imagenet_images(split: str) -> list[tuple[str, int]]:
    """Return the names and labels of four images a class, named as ImageNet's are."""
    names = {"train": "{wnid}_{number}", "val": "ILSVRC2012_val_{number:08d}"}
    numbers = [(label, 10 * number + label) for number in range(4) for label in range(len(WNIDS))]
    return [(names[split].format(wnid=WNIDS[label], number=number), label) for label, number in numbers]


def write_imagenet_shards(folder: Path, write_shard: Callable) -> None:
    """Lay out images as timm/imagenet-1k-wds does: shards of JPEG, label and description, and a list beside them."""
    for split, prefix in (("train", "train"), ("val", "validation")):
        images = imagenet_images(split)
        for shard in range(2):
            members: list[Member] = []
            for number, (name, label) in enumerate(images[shard::2]):
                about = {"filename": f"{name}.JPEG", "label": label, "class_name": WNIDS[label]}
                members += [(f"{name}.cls", str(label).encode()), (f"{name}.jpg", jpeg(number))]
                members += [(f"{name}.json", json.dumps(about).encode())]
            write_shard(folder / f"imagenet1k-{prefix}-{shard:04d}.tar", members)
    (folder / "_info.json").write_text("{}")


def write_imagenet_folders(folder: Path) -> None:
    """Lay out the same images as an ImageFolder tree."""
    for split in ("train", "val"):
        for number, (name, label) in enumerate(imagenet_images(split)):
            image = folder / split / WNIDS[label] / f"{name}.JPEG"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(jpeg(number))
        (folder / split / "LOC_notes.txt").write_text("not a class")


def write_pixparse(folder: Path, write_shard: Callable) -> None:
    """Lay out pairs as pixparse/cc12m-wds does."""
    for shard in range(2):
        members: list[Member] = []
        for number in range(3):
            key, caption = f"{shard:05d}{number:04d}", f"<PERSON> and thing {shard}{number}"
            members += [(f"{key}.jpg", jpeg(number)), (f"{key}.json", json.dumps({"key": key}).encode())]
            members += [(f"{key}.txt", caption.encode())]
        write_shard(folder / f"cc12m-train-{shard:04d}.tar", members)


def write_img2dataset(folder: Path) -> None:
    """Lay out pairs as img2dataset does, with webdataset's own writer, a table of all links and statistics beside."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from webdataset import TarWriter

    folder.mkdir(parents=True)
    for shard in range(2):
        rows = []
        with TarWriter(str(folder / f"{shard:05d}.tar")) as tar:
            for number in range(4):
                key, caption = f"{shard:05d}{number:04d}", f"photo {shard}{number} – café &amp; more"
                about = {"caption": caption, "url": f"http://host/{key}", "key": key, "status": "success"}
                # A dead link has a row in the table, and no sample.
                if number == 2:
                    rows.append(about | {"status": "failed_to_download"})
                    continue
                tar.write({"__key__": key, "jpg": jpeg(number), "txt": caption, "json": json.dumps(about, indent=4)})
                rows.append(about)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{shard:05d}.parquet")
        (folder / f"{shard:05d}_stats.json").write_text(json.dumps({"count": 4, "successes": 3}))


@pytest.fixture
def real_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_shard: Callable) -> Path:
    """Return a folder where every corpus of the catalogue, but the embedded one, lies under its name, tiny.

    The entries are those of the catalogue; only the paths, and the classes of ImageNet, of which there are three, are
    the test's own.
    """
    root = tmp_path / "data"
    write_imagenet_shards(root / "imagenet1k", write_shard)
    write_imagenet_folders(root / "imagenet1k-folder")
    write_pixparse(root / "cc12m", write_shard)
    for name in ("cc12m-img2dataset", "yfcc15m", "yfcc15m-openai"):
        write_img2dataset(root / name)
    classes = tmp_path / "classes.csv"
    rows = ["0,n01440764,tench,fish,fish", "1,n01443537,goldfish,fish,fish", "2,n01484850,white shark,,shark"]
    classes.write_text("\n".join(["label,wnid,name,overlap,hypernym", *rows]))
    entries = {name: dict(entry) for name, entry in plugins.corpora().items()}
    for name, entry in entries.items():
        entry |= {"path": str(root / name)} if "path" in entry else {}
        entry |= {"classes": str(classes)} if name.startswith("imagenet1k") else {}
        entry |= {key: 2 for key in ("train_shards", "validation_shards") if key in entry}
    monkeypatch.setattr(plugins, "corpora", lambda: entries)
    return root
