"""Every corpus of the catalogue is indexed and read back from its exact format on disk."""

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml import plugins
from nml.artifacts import read_json
from nml.corpora.catalogue import groups_of, open_corpus
from nml.corpora.index import index_corpus
from nml.corpora.shards import decode_image, read_samples
from nml.errors import UserError
from tests.conftest import imagenet_images

REAL = [name for name in plugins.corpora() if name != "emoji"]
SHARDS = {
    "imagenet1k": ["imagenet1k-train-0000.tar", "imagenet1k-train-0001.tar"],
    "imagenet1k-folder": ["train/n01440764", "train/n01443537", "train/n01484850"],
    "cc12m": ["cc12m-train-0000.tar", "cc12m-train-0001.tar"],
    "cc12m-img2dataset": ["00000.tar", "00001.tar"],
    "yfcc15m": ["00000.tar", "00001.tar"],
    "yfcc15m-openai": ["00000.tar", "00001.tar"],
    "cc12m-yfcc15m": [
        "cc12m/cc12m-train-0000.tar",
        "cc12m/cc12m-train-0001.tar",
        "yfcc15m/00000.tar",
        "yfcc15m/00001.tar",
    ],
}


def indexed(name: str, folder: Path) -> list[dict]:
    index_corpus(open_corpus(name), folder)
    return pq.read_table(folder / "index.parquet").to_pylist()


@pytest.mark.parametrize("name", REAL)
def test_the_shards_are_those_of_the_source_and_nothing_beside_them(real_layouts: Path, name: str) -> None:
    assert [shard.name for shard in open_corpus(name).shards["train"]] == SHARDS[name]


@pytest.mark.parametrize("name", REAL)
def test_every_sample_is_indexed_with_what_its_source_has(real_layouts: Path, tmp_path: Path, name: str) -> None:
    rows = indexed(name, tmp_path / "index")
    has = plugins.corpora()[name]["has"]
    assert {(row["label"] is not None, row["caption"] is not None) for row in rows} == {
        ("labels" in has, "captions" in has)
    }
    corpus = open_corpus(name)
    read = [
        (shard.prefix + sample["__key__"], decode_image(sample).shape)
        for shards in corpus.shards.values()
        for shard in shards
        for sample in read_samples([shard.path])
    ]
    assert read == [(row["key"], (8, 8, 3)) for row in rows]


@pytest.mark.parametrize("name", REAL)
def test_the_offsets_are_where_the_samples_start(real_layouts: Path, tmp_path: Path, name: str) -> None:
    rows = indexed(name, tmp_path / "index")
    shards = {shard.name: shard for found in open_corpus(name).shards.values() for shard in found}
    for row in rows:
        shard = shards[row["shard"]]
        if shard.path.is_dir():
            assert row["offset"] == -1
            continue
        # img2dataset's tars have a header of their own before each member's.
        rest = io.BytesIO(shard.path.read_bytes()[row["offset"] :])
        with tarfile.open(fileobj=rest) as tar:
            assert shard.prefix + tar.next().name.split(".")[0] == row["key"]


def test_imagenet_is_the_same_corpus_in_both_layouts(real_layouts: Path, tmp_path: Path) -> None:
    expected = sorted(image for split in ("train", "val") for image in imagenet_images(split))
    for name in ("imagenet1k", "imagenet1k-folder"):
        rows = indexed(name, tmp_path / name)
        assert sorted((row["key"], row["label"]) for row in rows) == expected


def test_class_folders_count_as_torchvision_does(real_layouts: Path) -> None:
    from torchvision.datasets import ImageFolder

    theirs = {
        Path(path).stem: label for path, label in ImageFolder(real_layouts / "imagenet1k-folder" / "train").samples
    }
    shards = [shard.path for shard in open_corpus("imagenet1k-folder").shards["train"]]
    assert {sample["__key__"]: int(sample["cls"]) for sample in read_samples(shards)} == theirs


def test_imagenet_has_classes_and_groups_for_the_noise(real_layouts: Path, tmp_path: Path) -> None:
    indexed("imagenet1k", tmp_path / "index")
    assert read_json(tmp_path / "index" / "manifest.json")["classes"] == ["tench", "goldfish", "white shark"]
    assert groups_of("imagenet1k", "asymmetric") == ["fish", "fish", ""]
    assert groups_of("imagenet1k", "hierarchical") == ["fish", "fish", "shark"]
    assert groups_of("imagenet1k", "symmetric") is None


def test_caption_corpora_have_no_classes_and_no_validation(real_layouts: Path, tmp_path: Path) -> None:
    indexed("cc12m", tmp_path / "index")
    manifest = read_json(tmp_path / "index" / "manifest.json")
    assert (manifest["classes"], manifest["splits"]["validation"]) == ([], {})


def test_pooled_corpora_keep_equal_keys_apart(real_layouts: Path, tmp_path: Path) -> None:
    rows = indexed("cc12m-yfcc15m", tmp_path / "index")
    keys = [row["key"] for row in rows]
    assert {"cc12m/000000000", "yfcc15m/000000000"} <= set(keys)
    assert len(set(keys)) == len(keys) == 12


def test_dead_links_of_img2dataset_are_no_samples(real_layouts: Path, tmp_path: Path) -> None:
    rows = indexed("yfcc15m", tmp_path / "index")
    assert [row["key"] for row in rows] == [f"{shard:05d}{number:04d}" for shard in (0, 1) for number in (0, 1, 3)]
    assert rows[0]["caption"] == "photo 00 – café &amp; more"


def test_class_folders_that_are_not_the_classes_are_refused(real_layouts: Path) -> None:
    folder = real_layouts / "imagenet1k-folder/train/n01443537"
    folder.rename(folder.with_name("n01440764.old"))
    with pytest.raises(UserError, match=r"not its 3 classes\. Missing: n01443537\. Unknown: n01440764\.old\."):
        open_corpus("imagenet1k-folder")


def test_a_download_that_was_cut_is_refused(real_layouts: Path) -> None:
    (real_layouts / "cc12m/cc12m-train-0001.tar").unlink()
    with pytest.raises(UserError, match=r"'cc12m' has 1 of its 2 train shards(.|\n)*hf download"):
        open_corpus("cc12m")


def test_a_validation_split_that_was_cut_is_refused_where_it_is_needed(real_layouts: Path) -> None:
    (real_layouts / "imagenet1k/imagenet1k-validation-0001.tar").unlink()
    assert len(open_corpus("imagenet1k", ["train"]).shards["train"]) == 2
    with pytest.raises(UserError, match="'imagenet1k' has 1 of its 2 validation shards"):
        open_corpus("imagenet1k", ["validation"])


def test_corpora_with_labels_cannot_be_pooled(real_layouts: Path) -> None:
    plugins.corpora()["both"] = {"pool": ["imagenet1k", "cc12m"], "has": ["captions"]}
    with pytest.raises(UserError, match="'both' pools imagenet1k, cc12m; all must have captions alone"):
        open_corpus("both")


def test_empty_captions_are_counted_where_photographs_may_have_none(real_layouts: Path, tmp_path: Path) -> None:
    shard = real_layouts / "yfcc15m/00001.tar"
    caption = "photo 10 – café &amp; more".encode()
    shard.write_bytes(shard.read_bytes().replace(caption, b" " * len(caption)))
    assert indexed("yfcc15m", tmp_path / "index")[3]["caption"] == ""
    assert read_json(tmp_path / "index/manifest.json")["empty_captions"] == 1


def test_empty_captions_are_refused_elsewhere(real_layouts: Path, tmp_path: Path) -> None:
    shard = real_layouts / "cc12m/cc12m-train-0000.tar"
    shard.write_bytes(shard.read_bytes().replace(b"<PERSON> and thing 00", b" " * 21))
    with pytest.raises(UserError, match=r"sample '000000000' .* has an empty caption"):
        indexed("cc12m", tmp_path / "index")
