"""Every real data set reads from its own form on disk, as torchvision and webdataset read it."""

import csv
import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
import torchvision.datasets as tv
import webdataset
from PIL import Image
from scipy.io import savemat

from nml import plugins
from nml.errors import UserError
from nml.task_entries import TaskEntry
from nml.tasks.readers import pcam
from nml.tasks.readers.cifar import load_restricted
from nml.tasks.task import Task, fingerprint, list_split, open_task, read_split
from tests.tasks.fixtures import names_of, picture

REAL = sorted(name for name, entry in plugins.tasks().items() if isinstance(entry, TaskEntry))
WDS = [name for name in REAL if "wds" in plugins.tasks()[name].layouts]
Read = list[tuple[np.ndarray, int]]


def read(task: Task, *splits: str) -> Read:
    """Return the images and labels of splits."""
    return [(image, label) for split in splits for _, image, label in read_split(task, split)]


def same(ours: Read, theirs: Iterable[tuple[Any, int]], labels: Callable[[int], Any] = lambda label: label) -> bool:
    """Tell whether two sources give the same images with the same labels, in whatever order."""

    def forms(samples: Iterable[tuple[Any, int]], named: Callable[[int], Any]) -> list[tuple[Any, ...]]:
        arrays = ((np.asarray(image), named(label)) for image, label in samples)
        return sorted((label, image.shape, image.tobytes()) for image, label in arrays)

    return forms(ours, labels) == forms(theirs, lambda label: label)


@pytest.mark.parametrize("name", REAL)
def test_every_split_of_every_data_set_reads(tiny: Callable, name: str) -> None:
    task = tiny(name)
    keys: list[str] = []
    for split in task.splits:
        samples = list(read_split(task, split))
        assert samples
        listed, labels = list_split(task, split)
        assert [key for key, _, _ in samples] == listed
        assert [label for _, _, label in samples] == labels.tolist()
        for _, image, label in samples:
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3
            assert 0 <= label < len(task.class_names)
        keys += listed
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", WDS)
def test_every_wds_layout_reads_as_webdataset_reads_it(tiny: Callable, name: str) -> None:
    task = tiny(name, "wds")
    assert task.variant == plugins.tasks()[name].layouts["wds"].variant
    folder = plugins.place_of(plugins.tasks()[name].place) / plugins.tasks()[name].layouts["wds"].needs[0]
    for split, own in (("train", ("train", "val")), ("test", ("test",))):
        shards = [str(folder.parents[1] / split / f"{shard}.tar") for shard in range(2)]
        theirs = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("webp", "cls")
        assert same(read(task, *own), ((image.convert("RGB"), label) for image, label in theirs))


class Cifar10(tv.CIFAR10):
    train_list: ClassVar = [[f"data_batch_{number}", None] for number in range(1, 6)]
    test_list: ClassVar = [["test_batch", None]]
    meta: ClassVar = {**tv.CIFAR10.meta, "md5": None}


class Cifar100(tv.CIFAR100):
    train_list: ClassVar = [["train", None]]
    test_list: ClassVar = [["test", None]]
    meta: ClassVar = {**tv.CIFAR100.meta, "md5": None}


class Svhn(tv.SVHN):
    split_list: ClassVar = {part: [*about[:2], None] for part, about in tv.SVHN.split_list.items()}


class Flowers(tv.Flowers102):
    _file_dict: ClassVar = {part: (file, None) for part, (file, _) in tv.Flowers102._file_dict.items()}


ALL_TRAIN, VALIDATED = {"train": ("train", "val")}, {"train": ("train",), "val": ("val",)}
TORCHVISION = {
    "cifar10": (lambda root, split: Cifar10(root, split == "train"), ALL_TRAIN),
    "cifar100": (lambda root, split: Cifar100(root, split == "train"), ALL_TRAIN),
    "flowers102": (Flowers, VALIDATED),
    "food101": (tv.Food101, ALL_TRAIN),
    "oxford-pets": (tv.OxfordIIITPet, {"trainval": ("train", "val")}),
    "stanford-cars": (tv.StanfordCars, ALL_TRAIN),
    "fgvc-aircraft": (tv.FGVCAircraft, VALIDATED),
    "svhn": (Svhn, ALL_TRAIN),
    "dtd": (tv.DTD, VALIDATED),
    "patch-camelyon": (tv.PCAM, VALIDATED),
    "rendered-sst2": (tv.RenderedSST2, VALIDATED),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_reads_the_same_images_and_labels(tiny: Callable, name: str) -> None:
    task = tiny(name)
    theirs, splits = TORCHVISION[name]
    for split, own in (splits | {"test": ("test",)}).items():
        assert same(read(task, *own), ((i.convert("RGB"), label) for i, label in theirs(str(task.path), split)))


def test_torchvision_reads_the_same_eurosat(tiny: Callable) -> None:
    task = tiny("eurosat")
    theirs = tv.EuroSAT(str(task.path))
    assert theirs.classes == task.class_names
    assert same(read(task, "train", "val", "test"), ((image.convert("RGB"), label) for image, label in theirs))


def test_torchvision_reads_the_same_caltech_but_for_the_background(tiny: Callable) -> None:
    task = tiny("caltech101")
    theirs = tv.Caltech101(str(task.path))
    ours = [s for s in read(task, "train", "val", "test") if task.class_names[s[1]] != "BACKGROUND_Google"]
    named = ((image.convert("RGB"), theirs.categories[label]) for image, label in theirs)
    assert same(ours, named, labels=lambda label: task.class_names[label])


def test_torchvision_reads_the_same_imagenet(tiny: Callable) -> None:
    task = tiny("imagenet")
    wnids = sorted(path.name for path in Path("data/imagenet1k-folder/val").iterdir())
    theirs = [(Image.open(p).convert("RGB"), wnids.index(p.parent.name)) for p in Path(task.path, "val").glob("*/*")]
    assert same(read(task, "test"), theirs)
    # Folders that are numbers sort as text: their places are not the labels.
    keys, labels = list_split(task, "imagenet-v2")
    assert [int(key.split("/")[1]) for key in keys] == labels.tolist()
    assert {2, 10} <= set(labels.tolist())


def test_only_200_classes_are_allowed_where_only_they_occur(tiny: Callable) -> None:
    import timm

    task = tiny("imagenet")
    assert set(task.allowed) == {"imagenet-a", "imagenet-r"}
    for name, labels in task.allowed.items():
        indices = Path(timm.__path__[0], "data/_info", f"{name.replace('-', '_')}_indices.txt").read_text().split()
        assert labels == sorted(map(int, indices)) and len(labels) == 200
        assert set(list_split(task, name)[1].tolist()) <= set(labels)


def test_domainnet_takes_the_label_from_the_list(tiny: Callable) -> None:
    task = tiny("domainnet-sketch")
    assert task.test_groups == {"sketch": "source", "real": "ood", "painting": "ood", "clipart": "ood"}
    keys, labels = list_split(task, "painting")
    assert {key.split("/")[0] for key in keys} == {"painting"}
    assert set(labels.tolist()) == {0, 51, 344}


def test_a_user_has_a_torchvision_root_elsewhere(tiny: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny("svhn")
    before = fingerprint(task)
    Path("elsewhere").mkdir()
    task.path.rename("elsewhere/root")
    Path("paths.yaml").write_text("svhn: elsewhere/root\n")
    monkeypatch.setattr(plugins.catalogues, "PATHS_FILE", Path("paths.yaml"))
    moved = open_task("svhn")
    assert moved.path == Path("elsewhere/root") and fingerprint(moved) == before


def test_what_is_in_a_split_changes_its_fingerprint(tiny: Callable) -> None:
    task = tiny("dtd")
    before = fingerprint(task)
    listing = task.path / "dtd/dtd/labels/test1.txt"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join([lines[1], lines[0], *lines[2:]]))
    assert fingerprint(open_task("dtd")) != before


def test_patch_camelyon_is_read_a_stretch_at_a_time(tiny: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(tiny("patch-camelyon"), "train")
    taken = []
    getitem = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, at: taken.append(at) or getitem(self, at))
    monkeypatch.setattr(pcam, "STRETCH", 7)
    cut = read(open_task("patch-camelyon"), "train")
    assert all(np.array_equal(a, b) and la == lb for (a, la), (b, lb) in zip(whole, cut, strict=True))
    assert taken and all(at.stop - at.start <= 7 for at in taken)


class _Runs:
    """What a malicious pickle holds: loading it calls a function."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return open, ("ran", "w")


def test_a_pickle_that_would_run_something_is_refused(tiny: Callable) -> None:
    task = tiny("cifar10")
    batch = task.path / "cifar-10-batches-py/data_batch_3"
    batch.write_bytes(pickle.dumps({"data": _Runs(), "labels": []}, protocol=2))
    with pytest.raises(
        UserError, match=r"data_batch_3 is not the pickle .*it names (io|_io|__builtin__|builtins)\.open"
    ):
        list(read_split(open_task("cifar10"), "train"))
    assert not Path("ran").exists()


def test_the_pickles_of_python_2_load(tmp_path: Path) -> None:
    # As cPickle of Python 2 and NumPy 1 wrote an array: names, protocol 2, the pixels as a byte string.
    state = b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    state += (
        b"(K\x01K\x01K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
    )
    state += b"K\x00tb\x89U\x03\x01\xfe\x80tbs."
    (tmp_path / "batch").write_bytes(state)
    assert np.asarray(load_restricted(tmp_path / "batch")["data"]).tolist() == [[1, 254, 128]]


def overwrite(path: str, content: bytes | str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def listing(path: str, line: str) -> Callable[[Path], None]:
    """Put another line in the place of a list's first."""

    def damage(root: Path) -> None:
        lines = (root / path).read_text().splitlines()
        (root / path).write_text("\n".join([line, *lines[1:]]))

    return damage


def move(path: str, to: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        (root / path).rename(root / to)

    return damage


def another_label(root: Path) -> None:
    savemat(root / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 12), np.uint8), "y": np.full((12, 1), 11, np.uint8)})


def without_classes(root: Path) -> None:
    """Write the table of test images as the devkit has it."""
    rows = np.array([[("00001.jpg",), ("00002.jpg",)]], dtype=[("fname", object)])
    savemat(root / "stanford_cars/cars_test_annos_withlabels.mat", {"annotations": rows})


WHOLE = picture(1, (20, 20))
DAMAGES = {
    "a zero-byte image": ("eurosat", overwrite("eurosat/2750/River/River_2.jpg", b""), "River_2.jpg is empty"),
    "a cut image": ("eurosat", overwrite("eurosat/2750/River/River_2.jpg", WHOLE[:-200]), "River_2.jpg is no whole"),
    "no image": ("eurosat", overwrite("eurosat/2750/River/River_2.jpg", "%!PS-Adobe"), "River_2.jpg is no whole image"),
    "a listed image is missing": (
        "food101",
        listing("food-101/meta/train.txt", "apple_pie/999"),
        r"apple_pie/999\.jpg cannot be read \(No such file.*the data set's list names it",
    ),
    "an unknown class in a list": (
        "food101",
        listing("food-101/meta/train.txt", "stones/1"),
        r"meta/train\.txt has the line 'stones/1', which names no class",
    ),
    "a label that is no number": (
        "oxford-pets",
        listing("oxford-iiit-pet/annotations/test.txt", "Abyssinian_20 one 1 1"),
        r"test\.txt has the line 'Abyssinian_20 one 1 1', which names no class by number",
    ),
    "a label beyond the classes": (
        "oxford-pets",
        listing("oxford-iiit-pet/annotations/test.txt", "Abyssinian_20 38 1 1"),
        r"sample 'Abyssinian_20' has the label 37; allowed are 37 labels from 0 to 36",
    ),
    "a label below the classes": (
        "oxford-pets",
        listing("oxford-iiit-pet/annotations/test.txt", "Abyssinian_20 0 1 1"),
        r"sample 'Abyssinian_20' has the label -1",
    ),
    "a digit beyond 10": ("svhn", another_label, r"has the label 11; allowed are 10 labels"),
    "other variants": (
        "fgvc-aircraft",
        listing("fgvc-aircraft-2013b/data/variants.txt", "Zeppelin"),
        r"variants\.txt does not name the 100 classes of the catalogue",
    ),
    "other classes in a pickle": (
        "cifar10",
        overwrite("cifar-10-batches-py/batches.meta", pickle.dumps({"label_names": ["cat", "dog"]}, protocol=2)),
        r"batches\.meta does not name the 10 classes of the catalogue under 'label_names'",
    ),
    "a class too few": (
        "resisc45",
        move("NWPU-RESISC45/church", "church"),
        r"NWPU-RESISC45 are not the 45 classes\. Missing: church\. Unknown: none",
    ),
    "a class of another name": (
        "rendered-sst2",
        move("rendered-sst2/valid/positive", "rendered-sst2/valid/good"),
        r"valid are not the 2 classes\. Missing: positive\. Unknown: good",
    ),
    "an image that the index lacks": (
        "caltech101",
        move(
            "caltech101/101_ObjectCategories/ant/image_0002.jpg", "caltech101/101_ObjectCategories/ant/image_0009.jpg"
        ),
        r"ant must hold the 3 images from image_0001\.jpg to image_0003\.jpg, .*different: image_0002\.jpg, image_0009",
    ),
    "a cut table": (
        "flowers102",
        overwrite("flowers-102/setid.mat", b"MATLAB"),
        r"setid\.mat cannot be read as a MATL",
    ),
    "a cut h5": (
        "patch-camelyon",
        overwrite("pcam/camelyonpatch_level_2_split_test_x.h5", b"\x89HDF"),
        r"test_x\.h5 cannot be read as HDF5",
    ),
    "a table without classes": (
        "stanford-cars",
        without_classes,
        r"cars_test_annos_withlabels\.mat lacks files or classes of images",
    ),
    "a line twice": (
        "food101",
        listing("food-101/meta/train.txt", "apple_pie/1001"),
        r"train in .*: sample 'apple_pie/1001' is there 2 times, and another is missing",
    ),
    "a sample too few": (
        "dtd",
        overwrite("dtd/dtd/labels/val1.txt", "banded/banded_0002.jpg\n"),
        r"task 'dtd', validation in .*: there are 1 samples, but the catalogue lists 47",
    ),
}


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_named(tiny: Callable, name: str, damage: Callable[[Path], None], message: str) -> None:
    path = tiny(name).path
    damage(path)
    with pytest.raises(UserError, match=message) as caught:
        task = open_task(name)
        for split in task.splits:
            list(read_split(task, split))
    assert "source again" in str(caught.value) or "Restore" in str(caught.value)


def test_a_shard_too_few_is_named(tiny: Callable) -> None:
    path = tiny("svhn", "wds").path / "wds_vtab-svhn"
    (path / "test/1.tar").unlink()
    with pytest.raises(UserError, match=r"test/nshards\.txt says 2 shards, and 1 are there"):
        list(read_split(open_task("svhn"), "test"))


def test_a_damaged_image_in_a_shard_is_named(tiny: Callable) -> None:
    shard = tiny("svhn", "wds").path / "wds_vtab-svhn/test/1.tar"
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b"RIFF", b"RUFF"))
    with pytest.raises(UserError, match=r"sample 's0000003' in .*test/1\.tar is no whole image"):
        list(read_split(open_task("svhn"), "test"))


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "RGBA", "LA", "animated"])
def test_every_kind_of_image_becomes_rgb(tiny: Callable, mode: str) -> None:
    task = tiny("eurosat")
    key = list_split(task, "test")[0][0]
    source = Image.open(task.path / key).convert("RGB")
    file = task.path / key
    if mode == "animated":
        source.save(file, "gif", save_all=True, append_images=[source.rotate(90)])
    else:
        source.convert(mode).save(file, "jpeg" if mode in ("L", "CMYK") else "png")
    expected = np.asarray(tv.folder.default_loader(str(file)))
    found = next(image for own, image, _ in read_split(task, "test") if own == key)
    assert np.array_equal(found, expected) and found.shape == (*source.size[::-1], 3)


def test_keys_do_not_depend_on_where_the_data_lies(tiny: Callable) -> None:
    task = tiny("rendered-sst2")
    files = ["negative/0.png", "negative/1.png", "positive/0.png", "positive/1.png"]
    assert list_split(task, "test")[0] == [f"rendered-sst2/test/{file}" for file in files]


def test_the_lists_of_food101_agree(tiny: Callable) -> None:
    """The two forms of its lists hold the same; torchvision reads the one, and this project the other."""
    folder = tiny("food101").path / "food-101/meta"
    lists = json.loads((folder / "train.json").read_text())
    assert [line for lines in lists.values() for line in lines] == (folder / "train.txt").read_text().split()


def test_the_names_of_the_fixtures_are_those_of_the_catalogue() -> None:
    with open(plugins.PACKAGE / "tasks/splits/caltech101.csv", newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == names_of("caltech101")
