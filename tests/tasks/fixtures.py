"""Tiny copies of every real data set, in the exact form that it has on disk.

Each writer lays out one data set below a folder and returns how many samples each part of it has.
"""

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from nml import plugins
from nml.tasks.class_lists import class_folders, class_names, present_labels
from nml.tasks.split_index import _table

Sizes = dict[str, int]


def names_of(name: str) -> list[str]:
    """Return the class names of a task of the catalogue."""
    return class_names(plugins.tasks()[name])


def picture(seed: int, size: tuple[int, int] | None = None, mode: str = "RGB", suffix: str = "jpeg") -> bytes:
    """Return an encoded picture, of a size of its own if none is given."""
    rng = np.random.default_rng(seed)
    width, height = size or tuple(rng.integers(8, 24, 2).tolist())
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, suffix)
    return buffer.getvalue()


def put(path: Path, content: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_cifar(root: Path, name: str, folder: str, key: str, meta: tuple[str, str], parts: dict[str, int]) -> None:
    """Write batches as Python 2 pickled them: protocol 2, text keys, pixels in planes."""
    names = names_of(name)
    for number, (batch, count) in enumerate(parts.items()):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, len(names), count).tolist()
        content = {"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), key: labels, "batch_label": batch}
        put(root / folder / batch, pickle.dumps(content | {"filenames": [f"{i}.png" for i in labels]}, protocol=2))
    put(root / folder / meta[0], pickle.dumps({meta[1]: names}, protocol=2))


def cifar10(root: Path) -> Sizes:
    batches = {f"data_batch_{number}": 4 for number in range(1, 6)} | {"test_batch": 6}
    write_cifar(root, "cifar10", "cifar-10-batches-py", "labels", ("batches.meta", "label_names"), batches)
    return {"train": 20, "test": 6}


def cifar100(root: Path) -> Sizes:
    meta = ("meta", "fine_label_names")
    write_cifar(root, "cifar100", "cifar-100-python", "fine_labels", meta, {"train": 20, "test": 6})
    return {"train": 20, "test": 6}


def flowers102(root: Path) -> Sizes:
    folder, count = root / "flowers-102", 24
    for number in range(1, count + 1):
        put(folder / "jpg" / f"image_{number:05d}.jpg", picture(number))
    labels = np.random.default_rng(0).permutation(102)[:count] + 1
    savemat(folder / "imagelabels.mat", {"labels": labels.astype(np.uint8)[None]})
    numbers = np.random.default_rng(1).permutation(count).astype(np.uint16)[None] + 1
    savemat(folder / "setid.mat", {"trnid": numbers[:, :8], "valid": numbers[:, 8:16], "tstid": numbers[:, 16:]})
    return {"train": 8, "validation": 8, "test": 8}


def food101(root: Path) -> Sizes:
    """Write lists of classes in another order than that of the labels, as others have them: cheesecake comes first."""
    folder = root / "food-101"
    names = sorted(names_of("food101"), key=lambda name: name.replace("_", ""))
    shown = ("apple_pie", "baby_back_ribs", "cheese_plate", "cheesecake", "waffles")
    put(folder / "meta/classes.txt", "".join(f"{name}\n" for name in names))
    for part, numbers in (("train", range(3)), ("test", range(3, 5))):
        lists = {name: [f"{name}/{1000 + number}" for number in numbers if name in shown] for name in names}
        put(folder / f"meta/{part}.json", json.dumps(lists))
        put(folder / f"meta/{part}.txt", "\n".join(line for lines in lists.values() for line in lines))
        for number, line in enumerate(line for lines in lists.values() for line in lines):
            put(folder / "images" / f"{line}.jpg", picture(number))
    return {"train": 15, "test": 10}


def oxford_pets(root: Path) -> Sizes:
    folder = root / "oxford-iiit-pet"
    kinds = [("Abyssinian", 1, 1), ("american_bulldog", 2, 2), ("yorkshire_terrier", 37, 2)]
    for part, numbers in (("trainval", range(10, 14)), ("test", range(20, 22))):
        lines = [f"{breed}_{number} {label} {species} 1" for breed, label, species in kinds for number in numbers]
        put(folder / f"annotations/{part}.txt", "\n".join(lines) + "\n")
        for number, line in enumerate(lines):
            # Some of the real files are no JPEG, whatever they are called.
            put(folder / "images" / f"{line.split()[0]}.jpg", picture(number, suffix="png" if number == 3 else "jpeg"))
    return {"train": 12, "test": 6}


def stanford_cars(root: Path) -> Sizes:
    folder = root / "stanford_cars"
    fields = [(f"bbox_{side}", object) for side in ("x1", "y1", "x2", "y2")] + [("class", object), ("fname", object)]
    tables = {"cars_train": "devkit/cars_train_annos.mat", "cars_test": "cars_test_annos_withlabels.mat"}
    for number, (images, table) in enumerate(tables.items()):
        rows = [(1, 2, 3, 4, [1, 196, 17][i % 3], f"{i + 1:05d}.jpg") for i in range(6 - number)]
        for row in rows:
            put(folder / images / row[-1], picture(row[-2] + number, mode="L" if row[-2] == 17 else "RGB"))
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        savemat(folder / table, {"annotations": np.array([rows], dtype=fields)})
    classes = np.array([names_of("stanford-cars")], dtype=object)
    savemat(folder / "devkit/cars_meta.mat", {"class_names": classes})
    return {"train": 6, "test": 5}


def fgvc_aircraft(root: Path) -> Sizes:
    folder, names = root / "fgvc-aircraft-2013b/data", names_of("fgvc-aircraft")
    put(folder / "variants.txt", "".join(f"{name}\n" for name in names))
    for start, part in enumerate(("train", "val", "test")):
        lines = [f"{start}{i:06d} {names[(7 * i + 38) % 100]}" for i in range(6)]
        put(folder / f"images_variant_{part}.txt", "\n".join(lines) + "\n")
        for number, line in enumerate(lines):
            put(folder / "images" / f"{line.split()[0]}.jpg", picture(10 * start + number))
    return {"train": 6, "validation": 6, "test": 6}


def svhn(root: Path) -> Sizes:
    root.mkdir(parents=True, exist_ok=True)
    for number, (part, count) in enumerate((("train", 24), ("test", 12))):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        # The digit 0 is called 10.
        labels = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        savemat(root / f"{part}_32x32.mat", {"X": pixels, "y": labels})
    return {"train": 24, "test": 12}


def dtd(root: Path) -> Sizes:
    for number, part in enumerate(("train", "val", "test"), start=1):
        lines = [f"{name}/{name}_{number:04d}.jpg" for name in names_of("dtd")]
        put(root / f"dtd/dtd/labels/{part}1.txt", "\n".join(lines) + "\n")
        for seed, line in enumerate(lines):
            put(root / "dtd/dtd/images" / line, picture(seed + 100 * number))
    return {"train": 47, "validation": 47, "test": 47}


def indexed(root: Path, name: str, folder: str, pattern: str, split: dict[str, float], images: int) -> Sizes:
    """Write a data set without an official split, its classes of one size, and an index like the committed one."""
    counts = dict.fromkeys(names_of(name), images)
    put(root / "index.csv", _table(name, {"pattern": pattern, "images": counts, **split}))
    for seed, kind in enumerate(counts):
        for number in range(1, images + 1):
            file = pattern.replace("<class>", kind).format(number)
            put(root / folder / kind / file, picture(100 * seed + number, mode="L" if number == 1 else "RGB"))
    trained = split.get("train") or round(split["train_share"] * images)
    return {"train": trained * len(counts), "test": (images - trained) * len(counts)}


def eurosat(root: Path) -> Sizes:
    return indexed(root, "eurosat", "eurosat/2750", "<class>_{}.jpg", {"train_share": 0.8}, 5)


def resisc45(root: Path) -> Sizes:
    return indexed(root, "resisc45", "NWPU-RESISC45", "<class>_{:03d}.jpg", {"train_share": 0.8}, 5)


def caltech101(root: Path) -> Sizes:
    return indexed(root, "caltech101", "caltech101/101_ObjectCategories", "image_{:04d}.jpg", {"train": 2}, 3)


def patch_camelyon(root: Path) -> Sizes:
    (root / "pcam").mkdir(parents=True)
    sizes = {"train": 30, "valid": 8, "test": 10}
    for number, (part, count) in enumerate(sizes.items()):
        rng = np.random.default_rng(number)
        with h5py.File(root / "pcam" / f"camelyonpatch_level_2_split_{part}_x.h5", "w") as file:
            file["x"] = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        with h5py.File(root / "pcam" / f"camelyonpatch_level_2_split_{part}_y.h5", "w") as file:
            file["y"] = rng.integers(0, 2, (count, 1, 1, 1), dtype=np.uint8)
    return {"train": 30, "validation": 8, "test": 10}


def rendered_sst2(root: Path) -> Sizes:
    for part, count in (("train", 6), ("valid", 3), ("test", 2)):
        for label, name in enumerate(("negative", "positive")):
            for number in range(count):
                image = picture(10 * number + label, (14, 14), suffix="png")
                put(root / "rendered-sst2" / part / name / f"{number}.png", image)
    return {"train": 12, "validation": 6, "test": 4}


def domainnet(root: Path) -> Sizes:
    """Write four domains; the labels are those of the lists, whatever the order of the folders."""
    names = names_of("domainnet-real")
    for seed, domain in enumerate(("real", "sketch", "painting", "clipart")):
        for part, numbers in (("train", range(1, 4)), ("test", range(4, 6))):
            lines = [f"{domain}/{names[c]}/{domain}_{c:03d}_{n:06d}.jpg {c}" for c in (0, 51, 344) for n in numbers]
            put(root / f"{domain}_{part}.txt", "\n".join(lines) + "\n")
            for number, line in enumerate(lines):
                image = picture(number + 20 * seed, mode="CMYK" if number == 1 else "RGB")
                put(root / line.split()[0], image)
    return {"train": 9} | dict.fromkeys(("real", "sketch", "painting", "clipart"), 6)


def imagenet(data: Path) -> Sizes:
    """Write ImageNet and its variants, each in its own place below `data`; most classes have no image."""
    entry = plugins.tasks()["imagenet"]
    parts = {"train": entry.layouts["folders"].train, **entry.layouts["folders"].tests}
    roots = {"train": "imagenet1k-folder/train", "test": "imagenet1k-folder/val", "imagenet-sketch": "sketch"}
    roots |= {"imagenet-v2": "imagenetv2-matched-frequency-format-val", "imagenet-a": "imagenet-a"}
    roots |= {"imagenet-r": "imagenet-r"}
    wnids = class_folders(entry)
    for seed, (name, part) in enumerate(parts.items()):
        root = data / (f"tasks/{part.place}" if part.place else "") / roots[name]
        labels = present_labels(entry, part)
        for label in labels:
            folder = str(label) if name == "imagenet-v2" else wnids[label]
            (root / folder).mkdir(parents=True)
            # The last label and those on both sides of "10" and "2", which text sorts the other way.
            for number in range(2 if label in (*labels[:3], labels[-1], 2, 10) else 0):
                put(root / folder / f"{name}_{label}_{number}.JPEG", picture(seed * 10000 + 10 * label + number))
    sizes = {name: len(list((data).rglob(f"{name}_*.JPEG"))) for name in parts}
    return sizes


def wds(root: Path, folder: str, classes: int) -> Sizes:
    """Write clip-benchmark's layout: two shards a split, image before label, as its own export does."""
    for split, per_shard in (("train", 12), ("test", 3)):
        for shard in range(2):
            path = root / folder / split / f"{shard}.tar"
            path.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
                for number in range(per_shard):
                    key, label = f"s{shard * per_shard + number:07d}", str(number * 7 % classes)
                    image = picture(100 * shard + number, suffix="webp")
                    for suffix, data in (("cls", label.encode()), ("webp", image)):
                        info = tarfile.TarInfo(f"{key}.{suffix}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
        put(root / folder / split / "nshards.txt", "2")
    put(root / folder / "classnames.txt", "\n".join(map(str, range(classes))))
    put(root / folder / "zeroshot_classification_templates.txt", "a photo of {c}.")
    return {"train": 24, "test": 6}


WRITERS: dict[str, Callable[[Path], Sizes]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "flowers102": flowers102,
    "food101": food101,
    "oxford-pets": oxford_pets,
    "stanford-cars": stanford_cars,
    "fgvc-aircraft": fgvc_aircraft,
    "svhn": svhn,
    "dtd": dtd,
    "eurosat": eurosat,
    "caltech101": caltech101,
    "patch-camelyon": patch_camelyon,
    "resisc45": resisc45,
    "rendered-sst2": rendered_sst2,
    "domainnet-real": domainnet,
    "domainnet-sketch": domainnet,
    "imagenet": imagenet,
}
"""The writer of the first layout of every real task."""
