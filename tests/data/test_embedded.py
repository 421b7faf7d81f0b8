"""The embedded data is whole, readable, within its size, and its splits and concepts are as disjoint as promised."""

import importlib
import io
import re
import sys
import tarfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import webdataset
import yaml
from PIL import Image

from nml.artifacts import read_json, sha256_file

EMBEDDED = Path(__file__).parents[2] / "data" / "embedded"
CORPUS = EMBEDDED / "corpora" / "emoji"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "embedded-data.md"
TASKS = sorted(path for path in (EMBEDDED / "tasks").iterdir() if path.is_dir())
DATA_SETS = [CORPUS, *TASKS]
FONT_TASKS = ("font-style", "letters", "scripts")
EMOJI_TASKS = [task for task in TASKS if task.name.startswith("emoji-")]


def sources() -> list[dict[str, str]]:
    """Return the packages of `sources.yaml`."""
    return yaml.safe_load((EMBEDDED / "sources.yaml").read_text(encoding="utf-8"))["sources"]


def shards(folder: Path, split: str | None = None) -> list[Path]:
    """Return the shard files that `info.json` lists, of one split or of all."""
    splits = read_json(folder / "info.json")["splits"]
    names = splits if split is None else [split]
    return [folder / entry["file"] for name in names for entry in splits[name]["shards"]]


def builder(module: str) -> ModuleType:
    """Return a module of the package that builds the data."""
    if str(EMBEDDED) not in sys.path:
        sys.path.insert(0, str(EMBEDDED))
    return importlib.import_module(f"builder.{module}")


@cache
def keys(folder: Path, split: str) -> frozenset[str]:
    """Return the sample keys of a split."""
    found = set()
    for shard in shards(folder, split):
        with tarfile.open(shard) as tar:
            found |= {name.split(".")[0] for name in tar.getnames()}
    return frozenset(found)


def units(folder: Path, split: str) -> set[str]:
    """Return the drawing, font or source families of a split: what stands before `__` in a key."""
    return {key.split("__")[0] for key in keys(folder, split)}


def test_there_are_fourteen_in_domain_tasks_and_one_out_of_domain_task() -> None:
    groups = [read_json(task / "info.json")["group"] for task in TASKS]
    assert groups.count("id") == 14
    assert groups.count("ood") == 1


@pytest.mark.parametrize("folder", DATA_SETS, ids=lambda folder: folder.name)
def test_shards_are_the_described_ones(folder: Path) -> None:
    info = read_json(folder / "info.json")
    for split in info["splits"].values():
        assert sum(entry["samples"] for entry in split["shards"]) == split["samples"]
        for entry in split["shards"]:
            assert sha256_file(folder / entry["file"]) == entry["sha256"], entry["file"]
    listed = {path.resolve() for path in shards(folder)}
    assert {path.resolve() for path in folder.rglob("*.tar.gz")} == listed


@pytest.mark.parametrize("folder", DATA_SETS, ids=lambda folder: folder.name)
def test_every_sample_reads_through_webdataset(folder: Path) -> None:
    classes = (folder / "classnames.txt").read_text(encoding="utf-8").splitlines()
    info = read_json(folder / "info.json")
    assert len(classes) == len(set(classes)) == info["classes"]
    for split, about in info["splits"].items():
        urls = [str(path) for path in shards(folder, split)]
        count = 0
        labels = set()
        for sample in webdataset.WebDataset(urls, shardshuffle=False):
            image = Image.open(io.BytesIO(sample["webp"]))
            image.load()
            assert (image.size, image.mode) == ((32, 32), "RGB"), sample["__key__"]
            labels.add(int(sample["cls"]))
            assert folder != CORPUS or sample["txt"].decode("utf-8").strip()
            count += 1
        assert count == about["samples"]
        assert labels <= set(range(len(classes)))
        # Validation need not show every class: that of emoji-domains has one concept in three.
        assert split == "val" or len(labels) == len(classes), split


@pytest.mark.parametrize("folder", TASKS, ids=lambda folder: folder.name)
def test_layout_is_that_of_clip_benchmark(folder: Path) -> None:
    for split in read_json(folder / "info.json")["splits"]:
        assert int((folder / split / "nshards.txt").read_text()) == 1
        assert (folder / split / "0.tar.gz").is_file()


@pytest.mark.parametrize("folder", DATA_SETS, ids=lambda folder: folder.name)
def test_no_family_straddles_train_validation_and_test(folder: Path) -> None:
    train, val = units(folder, "train"), units(folder, "val")
    assert not train & val
    for split in read_json(folder / "info.json")["splits"]:
        if split.startswith("test"):
            assert not units(folder, split) & (train | val), split


@pytest.mark.parametrize("folder", DATA_SETS, ids=lambda folder: folder.name)
def test_units_are_counted(folder: Path) -> None:
    for split, about in read_json(folder / "info.json")["splits"].items():
        assert about["units"] == len(units(folder, split)), split


def test_training_and_validation_of_emoji_domains_share_no_artist_with_any_test_set() -> None:
    task = EMBEDDED / "tasks" / "emoji-domains"
    artists = {
        split: {unit.split("_")[1] for unit in units(task, split)} for split in read_json(task / "info.json")["splits"]
    }
    assert artists["val"] <= artists["train"]
    for split, found in artists.items():
        assert not split.startswith("test") or not found & artists["train"], split


@pytest.mark.parametrize("name", FONT_TASKS)
def test_no_superfamily_straddles_splits(name: str) -> None:
    superfamily = builder("superfamilies").superfamily
    found: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        for key in keys(EMBEDDED / "tasks" / name, split):
            unit, rest = key.split("__")
            assert superfamily(rest.split("_")[0]) == unit, key
            found.setdefault(unit, set()).add(split)
    assert [unit for unit, splits in found.items() if len(splits) > 1] == []


def test_families_of_one_design_are_one_superfamily() -> None:
    superfamily = builder("superfamilies").superfamily
    for stem in ("noto", "roboto", "source", "ibm-plex", "fira", "hind", "lobster"):
        fonts = [s["name"].removeprefix("fontpkg-") for s in sources() if s["name"].startswith(f"fontpkg-{stem}")]
        assert len(fonts) > 1
        assert {superfamily(font) for font in fonts} == {stem}
    assert superfamily("heebo") == "roboto"
    assert superfamily("caveat") == "caveat"


@pytest.mark.parametrize("task", EMOJI_TASKS, ids=lambda task: task.name)
def test_downstream_concepts_are_not_in_the_corpus(task: Path) -> None:
    concept = builder("concepts").concept
    corpus = {key.split("_")[0] for split in ("train", "val") for key in keys(CORPUS, split)}
    downstream = {key.split("_")[0] for split in read_json(task / "info.json")["splits"] for key in keys(task, split)}
    assert all(concept(code) == code for code in corpus | downstream)
    assert not corpus & downstream


def test_corpus_keys_name_the_concept_of_their_emoji() -> None:
    concept = builder("concepts").concept
    for key in keys(CORPUS, "train") | keys(CORPUS, "val"):
        code = re.split("-(?=twemoji|noto|emojione|fluent)", key.split("__")[1])[0]
        assert concept(code) == key.split("_")[0]


def test_variants_of_an_emoji_are_one_concept() -> None:
    concept = builder("concepts").concept
    assert concept("1F468-1F3FD-200D-1F692") == concept("1F469-200D-1F692") == concept("1F9D1-200D-1F692")
    assert concept("1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F") == concept("1F3C3")
    assert concept("1F9D1") == concept("1F9D2") == concept("1F475")
    assert concept("1F43B-200D-2744-FE0F") == concept("1F43B") != concept("1F43C")
    assert concept("1F34B-200D-1F7E9") == concept("1F34B")
    assert concept("1F499") == concept("2764-FE0F") != concept("2764-FE0F-200D-1F525")
    assert concept("1F7E2") == concept("1F534") != concept("1F7E5")


def test_each_emoji_has_one_concept_family() -> None:
    codes = [code for row in builder("concepts").FAMILIES for code in row.split()]
    assert len(codes) == len(set(codes))


def test_no_class_of_icons_is_named_as_an_emoji_of_the_corpus() -> None:
    names = (EMBEDDED / "tasks" / "icons" / "classnames.txt").read_text(encoding="utf-8").splitlines()
    kinds = (CORPUS / "classnames.txt").read_text(encoding="utf-8").splitlines()
    captions = set()
    for split in ("train", "val"):
        for sample in webdataset.WebDataset([str(path) for path in shards(CORPUS, split)], shardshuffle=False):
            captions.add((kinds[int(sample["cls"])], sample["txt"].decode("utf-8").lower()))
    for kind, caption in captions:
        start = [
            name
            for name in names
            if caption.startswith((f"{name}, {kind}", f"{kind}: {name},", f"{name} ({kind}", f"an emoji of {name}, "))
            or caption == f"a picture of {kind}: {name}"
        ]
        assert start == [], caption


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.name)
def test_the_documentation_has_the_numbers_of_each_task(task: Path) -> None:
    page, info = DOCUMENTATION.read_text(encoding="utf-8"), read_json(task / "info.json")
    counts = " / ".join(str(info["splits"][split]["samples"]) for split in ("train", "val", "test"))
    assert f"| `{task.name}` | {info['classes']} | {counts} |" in page
    for test in set(info["splits"]) - {"train", "val"}:
        name = f"`{task.name}`" if test == "test" else f"`{task.name}` {test}"
        units = " | ".join(str(info["splits"][split]["units"]) for split in ("train", "val", test))
        assert f"| {name} | {units} |" in page


def test_the_documentation_has_the_numbers_of_the_corpus() -> None:
    page, info = " ".join(DOCUMENTATION.read_text(encoding="utf-8").split()), read_json(CORPUS / "info.json")
    train, val = (info["splits"][split]["samples"] for split in ("train", "val"))
    assert f"({info['classes']} classes:" in page
    assert f"{train} images for training, {val} for validation" in page


def test_size_stays_small() -> None:
    total = sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert total <= 30_000_000


def test_every_source_is_attributed_and_used_by_name() -> None:
    names = {source["name"] for source in sources()}
    attribution = (EMBEDDED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for source in sources():
        assert f"| {source['name']} | {source['version']} |" in attribution
        assert source["author"], source["name"]
    for task in TASKS:
        assert set(read_json(task / "info.json")["sources"]) <= names


def test_attribution_says_what_each_source_is_used_for() -> None:
    used: dict[str, set[str]] = {}
    for task in TASKS:
        for name in read_json(task / "info.json")["sources"]:
            used.setdefault(name, set()).add(task.name)
    attribution = (EMBEDDED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in attribution.splitlines() if line.startswith("| ")}
    for source in sources():
        said = set(rows[source["name"]].rstrip(" |").split(" | ")[-1].split(", "))
        assert said - {"corpus"} == used.get(source["name"], set()), source["name"]
        assert ("corpus" in said) == (source["name"] in corpus_packages()), source["name"]


def corpus_packages() -> set[str]:
    vendors = {key.split("__")[1].split("-", 1)[1] for split in ("train", "val") for key in keys(CORPUS, split)}
    packages = builder("drawings").VENDORS
    return {packages[next(v for v in packages if vendor.endswith(v))] for vendor in vendors} | {"emojibase-data"}


def test_sources_of_an_emoji_task_are_those_its_keys_name() -> None:
    vendors = builder("drawings").VENDORS
    for task in EMOJI_TASKS:
        info = read_json(task / "info.json")
        named = {key.split("__")[1].rsplit("-v", 1)[0] for split in info["splits"] for key in keys(task, split)}
        assert {vendors[vendor] for vendor in named} | {"emojibase-data"} == set(info["sources"])


LICENCE_MARKS = {
    "CC-BY-4.0": "creativecommons.org/licenses/by/4.0",
    "CC-BY-SA-4.0": "creativecommons.org/licenses/by-sa/4.0",
    "CC-BY-SA-3.0": "creativecommons.org/licenses/by-sa/3.0",
    "CC0-1.0": "creativecommons.org/publicdomain/zero/1.0",
    "Apache-2.0": "apache.org/licenses/",
    "MIT": "Permission is hereby granted, free of charge",
    "ISC": "Permission to use, copy, modify, and",
    "BSD-3-Clause": "Redistribution and use in source and binary forms",
    "OFL-1.1": "SIL OPEN FONT LICENSE Version 1.1",
    "Unicode-3.0": "UNICODE LICENSE V3",
    "public domain": "Public Domain",
}


@pytest.mark.parametrize("source", sources(), ids=lambda source: source["name"])
def test_licence_of_each_source_has_its_text_or_address(source: dict[str, str]) -> None:
    file = builder("attribution").licence_file(builder("sources").read_sources()[source["name"]])
    text = (EMBEDDED / "licences" / file).read_text(encoding="utf-8")
    named = [
        mark
        for licence, mark in LICENCE_MARKS.items()
        if re.search(rf"(?<![\w-]){licence}(?![\w-])", source["licence"])
    ]
    assert named, source["licence"]
    for mark in named:
        assert mark in text
    assert source["name"] in text
    assert "<svg" not in text


def test_share_alike_contact_sheets_are_named() -> None:
    readme = (EMBEDDED.parents[1] / "docs" / "contact-sheets" / "README.md").read_text(encoding="utf-8")
    attribution = (EMBEDDED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for sheet in ("emoji-domains.png", "handwritten-digits.png"):
        assert sheet in readme
        assert sheet in attribution
