"""A corpus is checked once and indexed, by any number of workers, through kills; what is broken is named."""

import errno
import json
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml import plugins
from nml.artifacts import read_json, sha256_file
from nml.corpora import index as index_module
from nml.corpora import parts as parts_module
from nml.corpora.catalogue import Corpus, Shard, open_corpus
from nml.corpora.index import INDEX_SCHEMA, index_corpus
from nml.corpora.parts import Checks, index_shard
from nml.errors import UserError
from nml.preemption import EXIT_CODE
from tests.interrupted import exit_code_of


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
        "offset": 3072,
    }
    assert table["split"].to_pylist() == ["train"] * 24 + ["validation"] * 6


def test_the_manifest_has_classes_shards_counts_and_hashes(tiny_corpus: Path, tmp_path: Path) -> None:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    manifest = read_json(tmp_path / "index" / "manifest.json")
    assert (manifest["corpus"], manifest["classes"]) == ("tiny", ["red", "green", "blue"])
    assert [facts["samples"] for facts in manifest["splits"]["train"].values()] == [6, 6, 6, 6]
    for shards in manifest["splits"].values():
        for name, facts in shards.items():
            assert facts["sha256"] == sha256_file(tiny_corpus / name)
            stat = (tiny_corpus / name).stat()
            assert (facts["bytes"], facts["modified"]) == (stat.st_size, stat.st_mtime_ns)
    assert manifest["index_sha256"] == sha256_file(tmp_path / "index" / "index.parquet")


def test_a_key_twice_is_refused_with_both_shards(
    tiny_corpus: Path, tmp_path: Path, write_shard: Callable, sample_files: Callable
) -> None:
    write_shard(tiny_corpus / "tiny-train-02.tar", sample_files([("train00", 0, "again")]))
    with pytest.raises(
        UserError, match=r"'train00' occurs twice .*tiny-train-00\.tar and in shard .*tiny-train-02\.tar"
    ):
        index_corpus(open_corpus("tiny"), tmp_path / "index")


@pytest.mark.parametrize(
    ("number", "replacement", "message"),
    [
        (0, ("bad.cls", b"9"), "'bad' in shard .*tiny-train-00.tar has the label"),
        (0, ("bad.json", b"{}"), "'bad' in shard .*tiny-train-00.tar has no label"),
        (1, ("bad.txt", b""), "'bad' in shard .*tiny-train-00.tar has an empty caption"),
        (1, ("bad.txt", b"caf\xe9"), "'bad' in shard .*tiny-train-00.tar has a caption that is not UTF-8"),
        (2, ("bad.json", b"{}"), "'bad' in shard .*tiny-train-00.tar has no image"),
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
    assert not list(tmp_path.rglob(".*.tmp*"))


def test_a_truncated_shard_stops_the_index(tiny_corpus: Path, tmp_path: Path) -> None:
    shard = tiny_corpus / "tiny-train-03.tar.gz"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"tiny-train-03\.tar\.gz cannot be read to its end"):
        index_corpus(open_corpus("tiny"), tmp_path / "index")


def test_a_whole_shard_that_is_not_the_listed_one_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    (tiny_corpus / "tiny-train-00.tar").write_bytes((tiny_corpus / "tiny-train-02.tar").read_bytes())
    (tiny_corpus / "tiny-train-02.tar").unlink()
    info = json.loads((tiny_corpus / "info.json").read_text())
    info["splits"]["train"]["shards"] = [s for s in info["splits"]["train"]["shards"] if "02" not in s["file"]]
    (tiny_corpus / "info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match=r"tiny-train-00\.tar is whole, but is not the one"):
        index_corpus(open_corpus("tiny"), tmp_path / "out")


def test_images_are_decoded_only_where_the_entry_says_so(
    tiny_corpus: Path, tmp_path: Path, write_shard: Callable, sample_files: Callable
) -> None:
    members = sample_files([("bad", 0, "a thing")])
    write_shard(tiny_corpus / "tiny-train-00.tar", [*members[:2], ("bad.webp", b"RIFF")])
    (tiny_corpus / "info.json").unlink()
    plugins.corpora()["tiny"]["check_images"] = False
    index_corpus(open_corpus("tiny"), tmp_path / "index")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_any_number_of_workers_writes_the_same_bytes(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "BYTES_A_WORKER", 1)
    for workers in (1, 2):
        index_corpus(open_corpus("tiny"), tmp_path / str(workers), workers)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


def test_an_error_in_a_worker_arrives_as_it_is(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "BYTES_A_WORKER", 1)
    shard = tiny_corpus / "tiny-train-02.tar"
    shard.write_bytes(shard.read_bytes()[:-9000])
    with pytest.raises(UserError, match=r"tiny-train-02\.tar cannot be read to its end"):
        index_corpus(open_corpus("tiny"), tmp_path / "index", workers=2)
    assert not (tmp_path / "index").exists()


def test_row_groups_do_not_change_the_rows(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_corpus(open_corpus("tiny"), tmp_path / "whole")
    monkeypatch.setattr(index_module, "ROW_GROUP", 8)
    index_corpus(open_corpus("tiny"), tmp_path / "grouped")
    whole, grouped = (pq.ParquetFile(tmp_path / name / "index.parquet") for name in ("whole", "grouped"))
    assert (whole.num_row_groups, grouped.num_row_groups) == (1, 5)
    assert whole.read().equals(grouped.read())


def index_and_die(corpus: Corpus, out_dir: Path, progress_dir: Path) -> None:
    """Index, and kill this process while it writes the part of the fourth shard."""
    write = parts_module.write_parquet

    def mortal(path: Path, *rest: object) -> None:
        if path.stem == "000003":
            path.with_name(f".{path.stem}.{os.getpid()}.tmp.parquet").write_bytes(b"PAR1 half")
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, *rest)

    parts_module.write_parquet = mortal
    index_corpus(corpus, out_dir, progress_dir=progress_dir)


@pytest.fixture
def killed(tiny_corpus: Path, tmp_path: Path) -> Path:
    """Return the progress folder of a run that was killed when three of five shards were done."""
    arguments = (open_corpus("tiny"), tmp_path / "index", tmp_path / "progress")
    process = get_context("spawn").Process(target=index_and_die, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "progress").glob("0*.parquet"))) == 3
    return tmp_path / "progress"


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the names of the shards that are read."""
    names: list[str] = []

    def counted(shard: Shard, *rest: object) -> None:
        names.append(shard.name)
        index_shard(shard, *rest)

    monkeypatch.setattr(index_module, "index_shard", counted)
    return names


def resume(progress: Path, folder: Path) -> None:
    index_corpus(open_corpus("tiny"), folder, progress_dir=progress)


def test_a_killed_index_goes_on_where_it_stood(killed: Path, tmp_path: Path, read_again: list[str]) -> None:
    resume(killed, tmp_path / "resumed")
    assert read_again == ["tiny-train-03.tar.gz", "tiny-val-00.tar"]
    assert killed.is_dir(), "who made it removes it"
    index_corpus(open_corpus("tiny"), tmp_path / "calm")
    assert sorted(path.name for path in tmp_path.iterdir() if "calm" in path.name) == ["calm"]
    assert bytes_of(tmp_path / "resumed") == bytes_of(tmp_path / "calm")


def test_a_shard_that_changed_since_the_kill_is_read_again(killed: Path, tmp_path: Path, read_again: list[str]) -> None:
    shard = open_corpus("tiny").shards["train"][1].path
    os.utime(shard, ns=(0, 0))
    resume(killed, tmp_path / "resumed")
    assert read_again == ["tiny-train-01.tar.gz", "tiny-train-03.tar.gz", "tiny-val-00.tar"]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-30], lambda whole: b"", lambda whole: b"no Parquet" * 9])
def test_a_damaged_progress_file_is_made_again(
    killed: Path, tmp_path: Path, read_again: list[str], damage: Callable
) -> None:
    part = killed / "000000.parquet"
    part.write_bytes(damage(part.read_bytes()))
    resume(killed, tmp_path / "resumed")
    assert read_again[0] == "tiny-train-00.tar"


def test_other_demands_on_the_samples_start_over(killed: Path, tmp_path: Path, read_again: list[str]) -> None:
    plugins.corpora()["tiny"]["has"] = ["labels"]
    resume(killed, tmp_path / "resumed")
    assert len(read_again) == 5
    assert pq.read_table(tmp_path / "resumed" / "index.parquet")["caption"].null_count == 30


def test_a_shard_that_changes_while_it_is_read_is_refused(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = open_corpus("tiny").shards["train"][0]

    def writing(path: Path) -> str:
        os.utime(path, ns=(0, 0))
        return ""

    monkeypatch.setattr(parts_module, "sha256_of", writing)
    with pytest.raises(UserError, match=r"tiny-train-00\.tar changed while it was read"):
        index_shard(
            shard, Checks(("labels",), 3, empty_captions=False, check_images=False, code=""), tmp_path / "part.parquet"
        )
    assert not list(tmp_path.glob("*.parquet"))


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "writer", "folder"),
    [(parts_module, "write_parquet", "progress"), (index_module.pq, "ParquetWriter", "index")],
)
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, writer: str, folder: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(place, writer, full)
        with pytest.raises(UserError, match=rf"no space is left to write to .*{folder}"):
            index_corpus(open_corpus("tiny"), tmp_path / "index", progress_dir=tmp_path / "progress")
    assert not list((tmp_path / "index").glob("*"))
    index_corpus(open_corpus("tiny"), tmp_path / "index", progress_dir=tmp_path / "progress")


def test_equal_hashes_of_different_keys_are_no_duplicates(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "hash_keys", lambda keys, salt: [len(key) for key in keys])
    index_corpus(open_corpus("tiny"), tmp_path / "index")


def index_until(moment: Callable[[], None], corpus: Corpus, folder: Path) -> None:
    """Index with this process alone; the moment comes while the third shard's rows are written."""
    write, calls = parts_module.write_parquet, []

    def slow(path: Path, *rest: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            path.with_name("half").touch()
            moment()
        write(path, *rest)

    parts_module.write_parquet = slow
    index_corpus(corpus, folder / "index", progress_dir=folder / "progress")


def test_an_index_that_is_asked_to_stop_goes_on_where_it_stood(
    tiny_corpus: Path, tmp_path: Path, read_again: list[str]
) -> None:
    assert exit_code_of(index_until, open_corpus("tiny"), tmp_path) == EXIT_CODE
    left = sorted(file.name for file in (tmp_path / "progress").iterdir())
    assert left == ["000000.parquet", "000001.parquet", "half"]
    resume(tmp_path / "progress", tmp_path / "resumed")
    assert len(read_again) == 3
    index_corpus(open_corpus("tiny"), tmp_path / "calm")
    assert bytes_of(tmp_path / "resumed") == bytes_of(tmp_path / "calm")
