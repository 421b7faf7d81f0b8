"""A corpus that changed since it was indexed is found out: by size when it is read, by content when it is verified."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nml.artifacts import read_json
from nml.corpora.catalogue import Shard, open_corpus
from nml.corpora.index import index_corpus
from nml.corpora.verify import require_unchanged, verify_corpus
from nml.errors import UserError


@pytest.fixture
def index(tiny_corpus: Path, tmp_path: Path) -> Path:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    (tiny_corpus / "info.json").unlink()
    return tmp_path / "index"


def require(index: Path) -> None:
    require_unchanged(open_corpus("tiny").shards["train"], read_json(index / "manifest.json")["splits"]["train"])


def flip(path: Path) -> None:
    """Change a bit of a file, and nothing of its size."""
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(bytes(data))


def test_an_untouched_corpus_passes(index: Path) -> None:
    verify_corpus(open_corpus("tiny"), index)
    require(index)


def test_everything_that_changed_is_named(tiny_corpus: Path, index: Path, write_shard: Callable) -> None:
    flip(tiny_corpus / "tiny-train-00.tar")
    (tiny_corpus / "tiny-train-01.tar.gz").unlink()
    (tiny_corpus / "tiny-train-02.tar").write_bytes(b"short")
    write_shard(tiny_corpus / "tiny-train-09.tar", [])
    for check in (lambda: require(index), lambda: verify_corpus(open_corpus("tiny"), index)):
        with pytest.raises(UserError) as caught:
            check()
        lines = str(caught.value).splitlines()
        assert lines[0] == "4 shards changed since the corpus was indexed:"
        assert "tiny-train-01.tar.gz is missing" in lines[1]
        assert "tiny-train-09.tar was not there" in lines[2]
        assert "tiny-train-00.tar has another SHA-256" in lines[3]
        assert "tiny-train-02.tar has 5 bytes, and had " in lines[4]


def test_another_time_alone_is_no_change(tiny_corpus: Path, index: Path) -> None:
    os.utime(tiny_corpus / "tiny-train-00.tar", ns=(0, 0))
    require(index)


def test_a_damaged_index_is_found(index: Path) -> None:
    flip(index / "index.parquet")
    with pytest.raises(UserError, match=r"index\.parquet is missing or changed"):
        verify_corpus(open_corpus("tiny"), index)


@pytest.mark.parametrize("change", ["content", "name", "gone"])
def test_an_image_that_changed_in_a_class_folder_is_seen(real_layouts: Path, tmp_path: Path, change: str) -> None:
    index_corpus(open_corpus("imagenet1k-folder"), tmp_path / "index")
    verify_corpus(open_corpus("imagenet1k-folder"), tmp_path / "index")
    image = sorted((real_layouts / "imagenet1k-folder/train/n01440764").iterdir())[0]
    data = image.read_bytes()
    if change == "content":
        image.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif change == "name":
        image.rename(image.with_name("other.JPEG"))
    else:
        image.unlink()
    with pytest.raises(UserError, match=r"1 shards changed .*\n.*train/n01440764 has "):
        verify_corpus(open_corpus("imagenet1k-folder"), tmp_path / "index")


def test_a_long_list_is_cut(tiny_corpus: Path) -> None:
    shards = [Shard(str(number), tiny_corpus / "gone") for number in range(24)]
    with pytest.raises(UserError, match="24 shards changed") as caught:
        require_unchanged(shards, {})
    assert "and 4 more" in str(caught.value)
