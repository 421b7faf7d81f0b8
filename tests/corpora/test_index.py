"""A corpus is found, checked once and indexed; what is missing or broken is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml.artifacts import read_json, sha256_file
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import INDEX_SCHEMA, index_corpus
from nml.errors import UserError


def test_the_index_has_a_row_for_each_sample(tiny_corpus: Path, tmp_path: Path) -> None:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    table = pq.read_table(tmp_path / "index" / "index.parquet")
    assert table.schema.equals(INDEX_SCHEMA)
    assert table.num_rows == 30
    assert table.to_pylist()[7] == {
        "split": "train",
        "shard": "tiny-train-01.tar.gz",
        "key": "train11",
        "label": 1,
        "caption": "a green thing train11",
    }
    assert table["split"].to_pylist() == ["train"] * 24 + ["validation"] * 6


def test_the_manifest_has_classes_shards_counts_and_hashes(tiny_corpus: Path, tmp_path: Path) -> None:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    manifest = read_json(tmp_path / "index" / "manifest.json")
    assert (manifest["corpus"], manifest["classes"]) == ("tiny", ["red", "green", "blue"])
    assert [entry["samples"] for entry in manifest["splits"]["train"]] == [6, 6, 6, 6]
    for entries in manifest["splits"].values():
        for entry in entries:
            assert entry["sha256"] == sha256_file(tiny_corpus / entry["shard"])
    assert manifest["index_sha256"] == sha256_file(tmp_path / "index" / "index.parquet")


def test_a_key_twice_is_refused_with_both_shards(
    tiny_corpus: Path, tmp_path: Path, write_shard: Callable, sample_files: Callable
) -> None:
    write_shard(tiny_corpus / "tiny-train-02.tar", sample_files([("train00", 0, "again")]))
    with pytest.raises(UserError, match=r"'train00' occurs twice .*tiny-train-00\.tar and in shard tiny-train-02\.tar"):
        index_corpus(open_corpus("tiny"), tmp_path / "index")


@pytest.mark.parametrize(
    ("number", "replacement", "message"),
    [
        (0, ("bad.cls", b"9"), "'bad' in shard .*tiny-train-00.tar has the label"),
        (0, ("bad.json", b"{}"), "'bad' in shard .*tiny-train-00.tar has no label"),
        (1, ("bad.txt", b""), "'bad' in shard .*tiny-train-00.tar has an empty caption"),
        (2, ("bad.webp", b"RIFF"), "'bad' in shard .*tiny-train-00.tar has a corrupt .webp image"),
    ],
)
def test_a_broken_sample_stops_the_index_and_leaves_no_file(
    tiny_corpus: Path,
    tmp_path: Path,
    write_shard: Callable,
    sample_files: Callable,
    number: int,
    replacement: tuple[str, bytes],
    message: str,
) -> None:
    members = sample_files([("bad", 0, "a thing")])
    members[number] = replacement
    write_shard(tiny_corpus / "tiny-train-00.tar", members)
    with pytest.raises(UserError, match=message):
        index_corpus(open_corpus("tiny"), tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_truncated_shard_stops_the_index(tiny_corpus: Path, tmp_path: Path) -> None:
    shard = tiny_corpus / "tiny-train-03.tar.gz"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"tiny-train-03\.tar\.gz cannot be read to its end"):
        index_corpus(open_corpus("tiny"), tmp_path / "index")


def test_a_listed_shard_that_is_not_there_is_refused(tiny_corpus: Path) -> None:
    (tiny_corpus / "tiny-train-01.tar.gz").unlink()
    with pytest.raises(UserError, match=r"'tiny' lacks 1 of the 5 shards .*info\.json: tiny-train-01\.tar\.gz"):
        open_corpus("tiny")


def test_a_corpus_without_a_list_of_shards_is_taken_as_it_is(tiny_corpus: Path) -> None:
    (tiny_corpus / "info.json").unlink()
    assert len(open_corpus("tiny").shards["train"]) == 4


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_shards_is_refused(tiny_corpus: Path, split: str) -> None:
    pattern = {"train": "tiny-train-*", "validation": "tiny-val-*"}[split]
    for shard in tiny_corpus.glob(pattern):
        shard.unlink()
    with pytest.raises(UserError, match=f"'tiny' has no {split} shards: nothing matches .*{pattern[:-1]}"):
        open_corpus("tiny")


def test_missing_class_names_are_refused(tiny_corpus: Path) -> None:
    (tiny_corpus / "classnames.txt").unlink()
    with pytest.raises(UserError, match=r"'tiny' has no class names: .*classnames\.txt is missing"):
        open_corpus("tiny")


def test_shards_come_in_the_order_of_their_names(tiny_corpus: Path) -> None:
    names = [shard.name for shard in open_corpus("tiny").shards["train"]]
    assert names == [f"tiny-train-{number:02d}.tar{'.gz' * (number % 2)}" for number in range(4)]


def test_a_whole_shard_that_is_not_the_listed_one_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    (tiny_corpus / "tiny-train-00.tar").write_bytes((tiny_corpus / "tiny-train-02.tar").read_bytes())
    (tiny_corpus / "tiny-train-02.tar").unlink()
    info = json.loads((tiny_corpus / "info.json").read_text())
    info["splits"]["train"]["shards"] = [s for s in info["splits"]["train"]["shards"] if "02" not in s["file"]]
    (tiny_corpus / "info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match=r"tiny-train-00\.tar is whole, but is not the one"):
        index_corpus(open_corpus("tiny"), tmp_path / "out")
