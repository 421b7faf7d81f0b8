"""The catalogue of tasks: its form is checked, and its numbers agree with what other projects say of the data sets."""

import copy
import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision.datasets as tv
import yaml

from nml import plugins
from nml.errors import UserError
from nml.task_entries import TaskEntry
from nml.tasks import split_index
from nml.tasks.class_lists import class_names
from nml.tasks.places import missing_files
from nml.tasks.task import open_task

REAL = {name: entry for name, entry in plugins.tasks().items() if isinstance(entry, TaskEntry)}
CATALOGUE = plugins.PACKAGE / "tasks/catalogue.yaml"


def sizes(name: str) -> list[int]:
    """Return the sizes of a data set's parts as its first layout has them."""
    return [part.samples for part in next(iter(REAL[name].layouts.values())).parts.values()]


def test_the_papers_fourteen_and_the_two_ways_to_train_on_domainnet_are_there() -> None:
    groups = [set(entry.tests.values()) for entry in REAL.values()]
    assert groups.count({"id"}) == 14
    assert groups.count({"source", "ood"}) == 2
    assert groups.count({"source", "robustness"}) == 1


@pytest.mark.parametrize("name", REAL)
def test_every_entry_names_its_classes_and_how_it_is_had(name: str) -> None:
    entry = REAL[name]
    assert len(set(class_names(entry))) == entry.classes or name == "imagenet"
    assert entry.licence and entry.size and (entry.downloads or entry.access)


# What torchvision's documentation of each class says, in its words; the second source of the numbers beside them.
SAID = {
    "flowers102": (tv.Flowers102, ["102 flower categories"], {"classes": 102}),
    "food101": (
        tv.Food101,
        ["101 food categories", "101,000 images", "250 manually reviewed test", "750 training"],
        {"classes": 101, "sizes": [101 * 750, 101 * 250]},
    ),
    "stanford-cars": (
        tv.StanfordCars,
        ["196 classes", "8,144 training", "8,041 testing"],
        {"classes": 196, "sizes": [8144, 8041]},
    ),
    "fgvc-aircraft": (tv.FGVCAircraft, ["10,000 images", "100 different variants"], {"classes": 100, "total": 10000}),
    "patch-camelyon": (tv.PCAM, ["327,680 color images", "binary"], {"classes": 2, "total": 327680}),
    "rendered-sst2": (
        tv.RenderedSST2,
        ["two classes", "6920 images", "872 images", "1821 images"],
        {"classes": 2, "sizes": [6920, 872, 1821]},
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_the_numbers_are_those_that_torchvision_states(name: str) -> None:
    source, said, numbers = SAID[name]
    words = " ".join(source.__doc__.split())
    assert all(text in words for text in said)
    assert REAL[name].classes == numbers["classes"]
    assert "sizes" not in numbers or sizes(name) == numbers["sizes"]
    # Aircraft is cut in three equal parts, up to one image.
    assert "total" not in numbers or sum(sizes(name)) == numbers["total"]


def test_the_names_of_flowers_are_torchvisions() -> None:
    assert class_names(REAL["flowers102"]) == list(tv.Flowers102.classes)


def test_the_names_of_cifar100_are_those_that_its_wordnet_table_has() -> None:
    with open("data/classes/cifar100-synsets.csv", encoding="utf-8", newline="") as file:
        assert class_names(REAL["cifar100"]) == sorted(row["name"] for row in csv.DictReader(file))


MD5 = {
    "cifar10": [tv.CIFAR10.tgz_md5],
    "cifar100": [tv.CIFAR100.tgz_md5],
    "flowers102": [md5 for _, md5 in tv.Flowers102._file_dict.values()],
    "food101": [tv.Food101._MD5],
    "oxford-pets": [md5 for _, md5 in tv.OxfordIIITPet._RESOURCES],
    "svhn": [tv.SVHN.split_list[split][2] for split in ("train", "test")],
    "dtd": [tv.DTD._MD5],
    "patch-camelyon": [md5 for files in tv.PCAM._FILES.values() for _, _, md5 in files.values()],
    "rendered-sst2": [tv.RenderedSST2._MD5],
}


@pytest.mark.parametrize("name", MD5)
def test_the_checksums_are_torchvisions(name: str) -> None:
    assert sorted(download.md5 for download in REAL[name].downloads) == sorted(MD5[name])


def test_the_metrics_per_class_are_those_of_the_papers_code() -> None:
    # data.md: balanced accuracy in the papers' code for three; CLIP's convention for Caltech-101 too.
    per_class = {name for name, entry in REAL.items() if entry.metric == "mean_per_class_accuracy"}
    assert per_class == {"flowers102", "oxford-pets", "fgvc-aircraft", "caltech101"}


@pytest.mark.parametrize("name", ["eurosat", "resisc45", "caltech101"])
def test_the_index_is_what_its_rule_draws_and_splits_as_listed(name: str) -> None:
    text = (split_index.FOLDER / f"{name}.csv").read_text(encoding="utf-8")
    assert text == split_index.tables()[name]
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["class"] for row in rows] == class_names(REAL[name])
    tested = [list(map(int, row["test"].split())) for row in rows]
    images = [int(row["images"]) for row in rows]
    assert all(len(set(t)) == len(t) and 1 <= min(t) <= max(t) <= n for t, n in zip(tested, images, strict=True))
    assert sizes(name) == [sum(images) - sum(map(len, tested)), sum(map(len, tested))]


def test_caltechs_index_trains_on_thirty_of_each_class() -> None:
    rows = list(csv.DictReader((split_index.FOLDER / "caltech101.csv").read_text().splitlines()))
    assert {int(row["images"]) - len(row["test"].split()) for row in rows} == {30}
    assert sum(int(row["images"]) for row in rows if row["class"] != "BACKGROUND_Google") == 8677


@pytest.mark.parametrize("name", REAL)
def test_what_is_not_here_is_said_with_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert missing_files(name)
    with pytest.raises(UserError) as caught:
        open_task(name)
    entry, words = REAL[name], str(caught.value)
    assert f"task '{name}' ({entry.title}) is not on disk: {missing_files(name)[0]} is missing" in words
    assert entry.licence in words and entry.size in words and f"`{entry.place}: /its/folder`" in words
    assert (f"nml data fetch {name}" in words) == bool(entry.downloads)
    assert entry.access in words


def change(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """Return what sets a key of an entry, or takes it away if `to` is None."""

    def damage(entry: dict[str, Any]) -> None:
        for key in keys[:-1]:
            entry = entry[key]
        entry.pop(keys[-1], None)
        if to is not None:
            entry[keys[-1]] = to

    return damage


@pytest.mark.parametrize("name", REAL)
def test_the_table_in_the_docs_is_the_catalogues(name: str) -> None:
    entry = REAL[name]
    page = (plugins.PACKAGE.parent / "docs/tasks.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in page if line.startswith(f"| `{name}` |"))
    layout = next(iter(entry.layouts.values()))
    numbers = [entry.classes, *(part.samples for part in layout.parts.values())]
    metric = {"accuracy": "accuracy", "mean_per_class_accuracy": "mean per class"}[entry.metric]
    expected = [entry.title, *(f"{number:,}" for number in numbers), metric, f"`{layout.variant}`", *entry.layouts]
    assert all(text in row for text in expected)


def test_what_is_unchecked_is_named_in_the_docs() -> None:
    page = (plugins.PACKAGE.parent / "docs/tasks.md").read_text(encoding="utf-8")
    section = page.partition("## What was checked, and what was not")[2]
    assert [name for name in REAL if f"`{name}`" in section] == [name for name in REAL if REAL[name].unchecked]


LAYOUT = ("layouts", "torchvision")
WRONG = {
    "a missing key": (change("licence", to=None), "licence: is missing"),
    "an unknown key": (change("licences", to="MIT"), "licences: there is no such key"),
    "classes in words": (change("classes", to="ten"), "classes: Input should be a valid integer"),
    "one class": (change("classes", to=1), "classes: Input should be greater than 1"),
    "an unknown metric": (
        change("metric", to="auc"),
        "metric: Input should be 'accuracy' or 'mean_per_cla",
    ),
    "an unknown group": (change("tests", to={"test": "in-domain"}), r"tests\.test: Input should be 'id', 'ood'"),
    "no layout": (change("layouts", to={}), "layouts: Dictionary should have at least 1 item"),
    "another test in a layout": (
        change("tests", to={"exam": "id"}),
        "the tests exam, and its layout 'torchvision' test",
    ),
    "an unknown reader": (change(*LAYOUT, "reader", to="parquet"), r"torchvision\.train: there is no reader 'parquet'"),
    "an unknown option": (change(*LAYOUT, "options", "colour", to="red"), "'svhn' has no option 'colour': file"),
    "a missing option": (change(*LAYOUT, "train", "options", to={}), "reader 'svhn' needs the option 'file'"),
    "no size": (change(*LAYOUT, "train", "samples", to=None), r"layouts\.torchvision\.train\.samples: is missing"),
    "a wrong checksum": (change("downloads", to=[{"urls": ["a"], "md5": "1f"}]), r"downloads\.0\.md5: String should"),
    "no way to get it": (change("downloads", to=[]), "an entry without downloads needs `access`"),
}


@pytest.mark.parametrize(("damage", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_entry_is_named(tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str) -> None:
    entry = copy.deepcopy(yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["svhn"])
    entry["layouts"]["torchvision"].setdefault("options", {})
    damage(entry)
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump({"svhn": entry}))
    with pytest.raises(UserError, match=message) as caught:
        plugins.read_tasks(tmp_path / "catalogue.yaml")
    assert "catalogue.yaml: the entry 'svhn' is wrong" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- svhn", "must map each task's name to its entry"),
        ("svhn: 5", "the entry 'svhn' must have keys and values; it is 5"),
        ("svhn: [", "cannot be read as YAML"),
        ("letters: {path: here}", "the entry 'letters' is wrong:\n  tests: is missing"),
    ],
)
def test_a_wrong_catalogue_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "catalogue.yaml").write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        plugins.read_tasks(tmp_path / "catalogue.yaml")


def test_the_catalogue_is_read_without_pytorch_or_numpy() -> None:
    code = "import sys; from nml import plugins; from nml.tasks import places; places.missing_files('svhn'); "
    code += "sys.exit(bool({'torch', 'numpy', 'h5py', 'scipy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
