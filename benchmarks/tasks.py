"""How fast are real data sets read? Against torchvision's data set behind a DataLoader, on the same files, one core.

`python benchmarks/tasks.py` prints the table of docs/benchmarks.md, and the memory that reading PatchCamelyon takes.
The files are made for it, in the form and size of the real ones, some thousand images each; the images are smooth
noise, compressed as photographs are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from nml import plugins
from nml.tasks.class_lists import class_names
from nml.tasks.readers import cifar, folders, listed, pcam, svhn
from nml.tasks.samples import Classes, Samples

IMAGES = {"cifar10": 10000, "svhn": 10000, "eurosat": 5000, "patch-camelyon": 8192, "food101": 1000}


def photograph(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return smooth noise, which a JPEG needs about as many bytes for as for a photograph."""
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def write(name: str, root: Path, count: int) -> None:
    """Write a data set's training part."""
    rng, names = np.random.default_rng(0), class_names(plugins.tasks()[name])
    if name == "cifar10":
        import pickle

        folder = root / "cifar-10-batches-py"
        folder.mkdir()
        (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
        for number in range(1, 6):
            pixels = rng.integers(0, 256, (count // 5, 3072), dtype=np.uint8)
            content = {"data": pixels, "labels": rng.integers(0, 10, count // 5).tolist()}
            (folder / f"data_batch_{number}").write_bytes(pickle.dumps(content, protocol=2))
    elif name == "svhn":
        pixels = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        savemat(root / "train_32x32.mat", {"X": pixels, "y": rng.integers(1, 11, (count, 1)).astype(np.uint8)})
    elif name == "patch-camelyon":
        (root / "pcam").mkdir()
        for what, shape in (("x", (count, 96, 96, 3)), ("y", (count, 1, 1, 1))):
            with h5py.File(root / f"pcam/camelyonpatch_level_2_split_train_{what}.h5", "w") as file:
                file[what] = rng.integers(0, 256 if what == "x" else 2, shape, dtype=np.uint8)
    elif name == "eurosat":
        for number in range(count):
            path = root / "eurosat/2750" / names[number % 10] / f"{names[number % 10]}_{number // 10 + 1}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photograph(rng, 64, 64).save(path, quality=90)
    else:
        write_food(root / "food-101", rng, names, count)


def write_food(folder: Path, rng: np.random.Generator, names: list[str], count: int) -> None:
    """Write Food-101's lists and photographs of 512 pixels."""
    lists: dict[str, list[str]] = {kind: [] for kind in names}
    for number in range(count):
        lists[names[number % 101]].append(f"{names[number % 101]}/{number}")
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/train.json").write_text(json.dumps(lists))
    (folder / "meta/train.txt").write_text("\n".join(line for lines in lists.values() for line in lines))
    for line in (line for lines in lists.values() for line in lines):
        path = folder / "images" / f"{line}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(rng, 512, 384).save(path, quality=90)


def ours(name: str, root: Path) -> Samples:
    """Open a data set as a task does; the folders of EuroSAT without an index, which is that of the real ones."""
    names = class_names(plugins.tasks()[name])
    classes = Classes(names, names, list(range(len(names))))
    layout = plugins.tasks()[name].layouts["torchvision"]
    reader = {"cifar": cifar, "svhn": svhn, "pcam": pcam, "folders": folders, "listed": listed}[layout.reader]
    options = reader.OPTIONS | layout.options_of(layout.train) | ({"index": ""} if "index" in reader.OPTIONS else {})
    return reader.open_samples(root, classes, **options)


def theirs(name: str, root: Path) -> Iterable[tuple[np.ndarray, int]]:
    """Open it as torchvision does, behind a loader without workers."""
    import torchvision.datasets as tv
    from torch.utils.data import DataLoader

    class Cifar10(tv.CIFAR10):
        train_list: ClassVar = [[f"data_batch_{number}", None] for number in range(1, 6)]
        test_list: ClassVar = []
        meta: ClassVar = {**tv.CIFAR10.meta, "md5": None}

    class Svhn(tv.SVHN):
        split_list: ClassVar = {part: [*about[:2], None] for part, about in tv.SVHN.split_list.items()}

    def array(image: Image.Image) -> np.ndarray:
        return np.asarray(image)

    makers: dict[str, Callable] = {
        "cifar10": lambda: Cifar10(root, transform=array),
        "svhn": lambda: Svhn(root, transform=array),
        "eurosat": lambda: tv.EuroSAT(root, transform=array),
        "patch-camelyon": lambda: tv.PCAM(root, "train", transform=array),
        "food101": lambda: tv.Food101(root, "train", transform=array),
    }
    return DataLoader(makers[name](), batch_size=256, num_workers=0, collate_fn=lambda batch: batch)


def read_ours(name: str, root: Path) -> int:
    """Read all images, opening included; return how many."""
    samples = ours(name, root)
    return sum(1 for _ in samples.images(np.arange(len(samples.keys))))


def read_theirs(name: str, root: Path) -> int:
    """Read all images as torchvision does, opening included; return how many."""
    return sum(len(batch) for batch in theirs(name, root))


def speed(read: Callable[[str, Path], int], name: str, root: Path) -> float:
    """Return images a second of CPU time, which other programs on the machine disturb least."""
    start = time.process_time()
    count = read(name, root)
    return count / (time.process_time() - start)


def peak_memory(root: Path, fraction: float) -> int:
    """Return the peak memory, in MB, of a fresh process that reads a share of PatchCamelyon's patches."""
    code = (
        "import sys, re, numpy as np; sys.path.insert(0, 'benchmarks'); import tasks; from pathlib import Path; "
        f"s = tasks.ours('patch-camelyon', Path({str(root)!r})); n = int(len(s.keys) * {fraction}); "
        "sum(1 for _ in s.images(np.arange(n))); "
        # Not getrusage: its maximum is inherited from the process that started this one.
        r"print(re.search(r'VmHWM:\s+(\d+)', open('/proc/self/status').read()).group(1))"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) // 1024


def main() -> None:
    """Write the files, take the better of several alternating runs of each, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("| data set | images | nml, images/s | torchvision, images/s | ratio |\n|---|---|---|---|---|")
    for name, count in IMAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write(name, root, count)
            read_theirs(name, root)
            pairs = [(speed(read_ours, name, root), speed(read_theirs, name, root)) for _ in range(rounds)]
            mine, other = (max(values) for values in zip(*pairs, strict=True))
            print(f"| {name} | {count:,} | {mine:,.0f} | {other:,.0f} | {mine / other:.2f} |", flush=True)
            if name == "patch-camelyon":
                pixels = (root / "pcam/camelyonpatch_level_2_split_train_x.h5").stat().st_size // 2**20
                few, all_of_them = peak_memory(root, 0.125), peak_memory(root, 1)
                memory = f"{few} MB after an eighth, {all_of_them} MB after all of {pixels} MB of pixels"
    print(f"\nPatchCamelyon's peak memory: {memory}")


if __name__ == "__main__":
    main()
