"""The embedded data is whole, readable, within its size, and its splits and concepts are as disjoint as promised."""

import io
import re
import sys
import tarfile
from functools import cache
from pathlib import Path

import pytest
import webdataset
import yaml
from PIL import Image

from nml.artifacts import read_json, sha256_file

EMBEDDED = Path(__file__).parents[2] / "data" / "embedded"
CORPUS = EMBEDDED / "corpora" / "emoji"
TASKS = sorted(path for path in (EMBEDDED / "tasks").iterdir() if path.is_dir())
DATA_SETS = [CORPUS, *TASKS]
EMOJI_TASKS = [task for task in TASKS if task.name.startswith("emoji-")]


def shards(folder: Path, split: str | None = None) -> list[Path]:
    """Return the shard files that `info.json` lists, of one split or of all."""
    splits = read_json(folder / "info.json")["splits"]
    names = splits if split is None else [split]
    return [folder / entry["file"] for name in names for entry in splits[name]["shards"]]


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
        # The validation and source test of emoji-domains share the classes; a corpus class may miss in validation.
        whole = split == "train" or (split.startswith("test") and (folder.name, split) != ("emoji-domains", "test"))
        assert not whole or len(labels) == len(classes), split


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
            assert not units(folder, split) & train, split
    if folder != CORPUS:
        assert not units(folder, "test") & val


@pytest.mark.parametrize("task", EMOJI_TASKS, ids=lambda task: task.name)
def test_downstream_concepts_are_not_in_the_corpus(task: Path) -> None:
    sys.path.insert(0, str(EMBEDDED))
    from builder.concepts import concept

    corpus = {key.split("_")[0] for split in ("train", "val") for key in keys(CORPUS, split)}
    downstream = {key.split("_")[0] for split in read_json(task / "info.json")["splits"] for key in keys(task, split)}
    assert all(concept(code) == code for code in corpus | downstream)
    assert not corpus & downstream


def test_corpus_keys_name_the_concept_of_their_emoji() -> None:
    sys.path.insert(0, str(EMBEDDED))
    from builder.concepts import concept

    for key in keys(CORPUS, "train") | keys(CORPUS, "val"):
        code = re.split("-(?=twemoji|noto|emojione|fluent)", key.split("__")[1])[0]
        assert concept(code) == key.split("_")[0]


def test_variants_of_an_emoji_are_one_concept() -> None:
    sys.path.insert(0, str(EMBEDDED))
    from builder.concepts import concept

    assert concept("1F468-1F3FD-200D-1F692") == concept("1F469-200D-1F692") == concept("1F9D1-200D-1F692")
    assert concept("1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F") == concept("1F3C3")
    assert concept("1F43B-200D-2744-FE0F") != concept("1F43B")


def test_size_stays_small() -> None:
    total = sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert total <= 30_000_000


def test_every_source_is_attributed_and_used_by_name() -> None:
    sources = yaml.safe_load((EMBEDDED / "sources.yaml").read_text(encoding="utf-8"))["sources"]
    names = {source["name"] for source in sources}
    attribution = (EMBEDDED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for source in sources:
        assert f"| {source['name']} | {source['version']} |" in attribution
        assert source["author"], source["name"]
    for task in TASKS:
        assert set(read_json(task / "info.json")["sources"]) <= names
