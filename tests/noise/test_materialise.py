"""Materialised shards hold what the clean ones and the overlay say, and the clean bytes everywhere else."""

import errno
import gzip
import io
import json
import os
import signal
import tarfile
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import webdataset as wds

from nml import plugins
from nml.artifacts import read_json, sha256_file
from nml.corpora.catalogue import Corpus, open_corpus
from nml.corpora.content import sha256_of
from nml.corpora.index import index_corpus
from nml.corpora.shards import read_samples, scan_samples
from nml.errors import UserError
from nml.grid import Noise
from nml.noise import materialise as materialise_module
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise
from nml.noise.noisy_folder import write_noisy_folder
from nml.noise.noisy_shard import write_noisy_shard
from tests.conftest import overlay_of


@pytest.fixture
def index(tiny_corpus: Path, tmp_path: Path) -> Path:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    return tmp_path / "index"


def content(path: Path) -> dict[str, bytes]:
    """Read a shard with Python's own tarfile."""
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


@pytest.mark.parametrize(("kind", "column", "suffix"), [("symmetric", "label", "cls"), ("swap", "caption", "txt")])
def test_noisy_shards_differ_from_the_clean_ones_as_the_overlay_says(
    index: Path, tmp_path: Path, kind: str, column: str, suffix: str
) -> None:
    inject_noise(index, Noise(kind, 50), 0, tmp_path / "noise")
    materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / "out")
    manifest = read_json(tmp_path / "out" / "manifest.json")
    changed = 0
    for shard in open_corpus("tiny").shards["train"]:
        clean, noisy = content(shard.path), content(tmp_path / "out" / shard.name)
        assert list(clean) == list(noisy)
        expected = {
            f"{key}.{suffix}": str(change[column]).encode()
            for key, change in overlay_of(tmp_path / "noise", shard.name).items()
        }
        assert {name: data for name, data in noisy.items() if data != clean[name]} == expected
        assert manifest["shards"][shard.name] == sha256_file(tmp_path / "out" / shard.name)
        changed += len(expected)
    assert changed == manifest["changed"] == 12


def test_a_clean_corpus_is_copied_byte_for_byte(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise(), 0, tmp_path / "noise")
    materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / "out")
    for shard in open_corpus("tiny").shards["train"]:
        opened = gzip.open if shard.path.suffix == ".gz" else open
        with opened(shard.path, "rb") as clean, opened(tmp_path / "out" / shard.name, "rb") as copied:
            assert clean.read() == copied.read()


def test_any_number_of_workers_writes_the_same_bytes(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    for workers in (1, 2):
        materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / str(workers), workers)
    assert read_json(tmp_path / "1" / "manifest.json") == read_json(tmp_path / "2" / "manifest.json")


def test_plain_webdataset_reads_them(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("symmetric", 50), 0, tmp_path / "noise")
    materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / "out")
    urls = sorted(str(path) for path in (tmp_path / "out").glob("*.tar*"))
    samples = list(wds.WebDataset(urls, shardshuffle=False).decode("rgb8").to_tuple("webp", "cls", "txt"))
    assert len(samples) == 24
    assert all(image.shape == (8, 8, 3) and 0 <= label < 3 for image, label, _ in samples)


def placed(shard: Path, changes: dict[str, dict]) -> dict[str, dict]:
    """Add the offset of each sample, as the index has it."""
    places = {sample["__key__"]: place for sample, place in scan_samples(shard, ())}
    return {key: change | {"offset": places.get(key, 0)} for key, change in changes.items()}


def materialise_and_die(corpus: Corpus, noise_dir: Path, out_dir: Path) -> None:
    """Materialise, and kill this process while it writes the third shard."""
    write = materialise_module.write_noisy_shard

    def mortal(source: Path, changes: dict, target: Path) -> str:
        if target.name.startswith("tiny-train-02"):
            target.with_name(f".{target.stem}.{os.getpid()}.tmp.tar").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return write(source, changes, target)

    materialise_module.write_noisy_shard = mortal
    materialise(corpus, noise_dir, out_dir)


def test_a_killed_run_goes_on_where_it_stood(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    corpus = open_corpus("tiny")
    arguments = (corpus, tmp_path / "noise", tmp_path / "out")
    process = get_context("spawn").Process(target=materialise_and_die, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out" / "manifest.json").exists()
    written = sorted((tmp_path / "out").glob("tiny*"))
    before = [path.stat().st_mtime_ns for path in written]
    for folder in ("out", "whole"):
        materialise(corpus, tmp_path / "noise", tmp_path / folder)
    assert [path.stat().st_mtime_ns for path in written] == before
    assert len(before) == 2
    assert read_json(tmp_path / "out" / "manifest.json") == read_json(tmp_path / "whole" / "manifest.json")
    names = {shard.name for shard in corpus.shards["train"]} | {"manifest.json", "sizes.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_a_shard_that_changed_is_refused(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    corpus = open_corpus("tiny")
    shard = corpus.shards["train"][2].path
    data = bytearray(shard.read_bytes())
    data[-2000] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(UserError, match=rf"{shard.name} has another SHA-256 than when it was indexed"):
        materialise(corpus, tmp_path / "noise", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_shard_that_cannot_be_read_is_named_and_leaves_nothing(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(tmp_path / "clean.tar", [("a.txt", b"caption"), ("b.txt", b"caption")])
    changes = placed(clean, {"b": {"caption": "other"}})
    whole = clean.read_bytes()
    for damaged in (whole[:1100], whole[:1024] + b"\1" * (len(whole) - 1024)):
        clean.write_bytes(damaged)
        with pytest.raises(UserError, match=r"the shard .*clean\.tar (cannot be read|has no sample 'b')"):
            write_noisy_shard(clean, changes, tmp_path / "noisy.tar")
        assert list(tmp_path.iterdir()) == [clean]


def test_a_description_that_repeats_the_label_is_changed_with_it(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(
        tmp_path / "clean.tar",
        [("a.jpg", b"jpeg"), ("a.cls", b"3"), ("a.json", b'{"label": 3, "width": 8}'), ("b.cls", b"1")],
    )
    write_noisy_shard(clean, placed(clean, {"a": {"label": 12}}), tmp_path / "noisy.tar")
    noisy = content(tmp_path / "noisy.tar")
    assert noisy["a.cls"] == b"12"
    assert json.loads(noisy["a.json"]) == {"label": 12, "width": 8}
    assert (noisy["a.jpg"], noisy["b.cls"]) == (b"jpeg", b"1")


def test_long_names_and_captions_of_any_length_survive(tmp_path: Path, write_shard: Callable) -> None:
    key = "folder/" + "k" * 150
    members = [(f"{key}.jpg", b"x" * 1000), (f"{key}.txt", b"short"), ("z.jpg", b"y"), ("z.txt", b"z" * 600)]
    clean = write_shard(tmp_path / "clean.tar", members)
    changes = placed(clean, {key: {"caption": "long " * 300}, "z": {"caption": "ü"}})
    write_noisy_shard(clean, changes, tmp_path / "noisy.tar")
    noisy = content(tmp_path / "noisy.tar")
    assert noisy == dict(members) | {f"{key}.txt": ("long " * 300).encode(), "z.txt": "ü".encode()}


def test_a_change_of_a_sample_that_is_not_there_is_refused(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(tmp_path / "clean.tar", [("a.cls", b"3")])
    with pytest.raises(UserError, match=r"clean\.tar has no sample 'b'"):
        write_noisy_shard(clean, placed(clean, {"b": {"label": 1}}), tmp_path / "noisy.tar")
    assert list(tmp_path.iterdir()) == [clean]


def test_padding_ends_the_shard_as_tar_wants_it(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(tmp_path / "clean.tar", [("a.txt", b"caption")])
    write_noisy_shard(clean, placed(clean, {"a": {"caption": "other"}}), tmp_path / "noisy.tar")
    data = (tmp_path / "noisy.tar").read_bytes()
    assert len(data) == clean.stat().st_size
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a.txt"]


def labels_in(tree: Path) -> dict[str, int]:
    """Read an ImageFolder tree as torchvision does: label by name of the image."""
    from torchvision.datasets import ImageFolder

    return {Path(path).stem: label for path, label in ImageFolder(tree).samples}


def test_a_folder_tree_becomes_a_folder_tree_with_the_wrong_images_in_other_folders(
    real_layouts: Path, tmp_path: Path
) -> None:
    corpus = open_corpus("imagenet1k-folder")
    index_corpus(corpus, tmp_path / "index")
    noise = inject_noise(tmp_path / "index", Noise("symmetric", 50), 0, tmp_path / "noise")
    materialise(corpus, tmp_path / "noise", tmp_path / "out")
    clean, noisy = (labels_in(tree / "train") for tree in (real_layouts / "imagenet1k-folder", tmp_path / "out"))
    changes = {
        key: change for shard in noise["shards"] for key, change in overlay_of(tmp_path / "noise", shard).items()
    }
    assert len(changes) == 6
    assert noisy == clean | {key: change["label"] for key, change in changes.items()}
    for shard, digest in read_json(tmp_path / "out" / "manifest.json")["shards"].items():
        assert sha256_of(tmp_path / "out" / shard) == digest


@pytest.mark.parametrize("links", [True, False])
def test_a_folder_tree_holds_nothing_of_another_noise(
    real_layouts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    corpus = open_corpus("imagenet1k-folder")
    index_corpus(corpus, tmp_path / "index")
    for seed in (0, 1):
        inject_noise(tmp_path / "index", Noise("symmetric", 50), seed, tmp_path / f"noise{seed}")
        materialise(corpus, tmp_path / f"noise{seed}", tmp_path / "out")
    materialise(corpus, tmp_path / "noise1", tmp_path / "fresh")
    assert read_json(tmp_path / "out/manifest.json") == read_json(tmp_path / "fresh/manifest.json")
    files = [
        sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))
        for root in (tmp_path / "out", tmp_path / "fresh")
    ]
    assert files[0] == files[1]
    clean = next((real_layouts / "imagenet1k-folder/train").rglob("*.JPEG"))
    twin = next((tmp_path / "out").rglob(clean.name))
    assert (twin.samefile(clean), twin.read_bytes()) == (links, clean.read_bytes())


def train_with_open_clip(model: Path, options: list[str]) -> None:
    """Run open_clip's trainer with a model of ours."""
    import open_clip
    from open_clip_train import data
    from open_clip_train.main import main

    open_clip.add_model_config(model)
    # The trainer asks for a webdataset of before 0.2.90, which did not mark where a tar ends.
    data.tar_file_expander = partial(data.tar_file_expander, eof_value=None)
    main([*options, "--model", model.stem])


def test_open_clips_own_trainer_trains_on_them(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / "out")
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 8, "patch_size": 4, "width": 16, "layers": 1, "head_width": 8}
    model = tmp_path / "little.json"
    model.write_text(json.dumps({"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}))
    shards = "::".join(str(tmp_path / "out" / shard.name) for shard in open_corpus("tiny").shards["train"])
    # Without the number of samples: `sizes.json` says it.
    options = ["--train-data", shards, "--dataset-type", "webdataset", "--device", "cpu", "--workers", "0"]
    options += ["--batch-size", "8", "--epochs", "1", "--logs", str(tmp_path), "--name", "run"]
    # In a process of its own, since it sets up the logging of all that is loaded.
    process = get_context("spawn").Process(target=train_with_open_clip, args=(model, options))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "Train Epoch: 0 [24/24 (100%)]" in (tmp_path / "run/out.log").read_text()


def test_a_full_disk_is_named(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    monkeypatch.setattr(materialise_module, "write_noisy_shard", full)
    with pytest.raises(UserError, match=rf"no space is left to write to {tmp_path / 'out'}"):
        materialise(open_corpus("tiny"), tmp_path / "noise", tmp_path / "out")


@pytest.mark.parametrize(
    "name", [name for name, entry in plugins.corpora().items() if "captions" in entry["has"] and name != "emoji"]
)
def test_pairs_of_every_real_layout_carry_their_noise(real_layouts: Path, tmp_path: Path, name: str) -> None:
    corpus = open_corpus(name)
    index_corpus(corpus, tmp_path / "index")
    inject_noise(tmp_path / "index", Noise("swap", 50), 0, tmp_path / "noise")
    materialise(corpus, tmp_path / "noise", tmp_path / "out")
    expected, found = [], []
    for shard in corpus.shards["train"]:
        changes = overlay_of(tmp_path / "noise", shard.name)
        for sample in read_samples([shard.path]):
            clean = sample["txt"].decode()
            expected.append(
                (sample["__key__"], changes.get(shard.prefix + sample["__key__"], {}).get("caption", clean))
            )
        for sample in wds.WebDataset(str(tmp_path / "out" / shard.name), shardshuffle=False, empty_check=False):
            found.append((sample["__key__"], sample["txt"].decode()))
            assert json.loads(sample["json"]).get("caption", found[-1][1]) == found[-1][1]
    assert found == expected


def test_labels_of_imagenets_shards_carry_their_noise(real_layouts: Path, tmp_path: Path) -> None:
    corpus = open_corpus("imagenet1k")
    index_corpus(corpus, tmp_path / "index")
    inject_noise(tmp_path / "index", Noise("symmetric", 50), 0, tmp_path / "noise")
    materialise(corpus, tmp_path / "noise", tmp_path / "out")
    wrong = 0
    for shard in corpus.shards["train"]:
        for clean, noisy in zip(read_samples([shard.path]), read_samples([tmp_path / "out" / shard.name]), strict=True):
            assert (clean["__key__"], clean["jpg"]) == (noisy["__key__"], noisy["jpg"])
            assert json.loads(noisy["json"])["label"] == int(noisy["cls"])
            wrong += clean["cls"] != noisy["cls"]
    assert wrong == 6


def test_a_class_that_loses_every_image_keeps_its_folder(tmp_path: Path) -> None:
    for name in ("bird/a.jpg", "tench/b.jpg"):
        (tmp_path / "clean" / name).parent.mkdir(parents=True)
        (tmp_path / "clean" / name).write_bytes(b"x")
    written = write_noisy_folder(tmp_path / "clean/bird", {"a": {"label": 1}}, tmp_path / "noisy")
    assert written == [tmp_path / "noisy/tench/a.jpg"]
    assert sorted(path.name for path in (tmp_path / "noisy").iterdir()) == ["bird", "tench"]


def test_a_change_of_an_image_that_is_not_there_is_refused(real_layouts: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="n01440764 has no image 'other'"):
        write_noisy_folder(
            real_layouts / "imagenet1k-folder/train/n01440764", {"other": {"label": 1}}, tmp_path / "out"
        )


def test_a_clean_corpus_of_capital_suffixes_is_changed_too(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(tmp_path / "clean.tar", [("a.CLS", b"3"), ("a.JPG", b"x")])
    write_noisy_shard(clean, placed(clean, {"a": {"label": 1}}), tmp_path / "noisy.tar")
    assert content(tmp_path / "noisy.tar") == {"a.CLS": b"1", "a.JPG": b"x"}


def test_a_repeated_label_alone_does_not_hide_that_the_label_is_missing(tmp_path: Path, write_shard: Callable) -> None:
    clean = write_shard(tmp_path / "clean.tar", [("a.json", b'{"label": 3}'), ("b.cls", b"1")])
    with pytest.raises(UserError, match="has no sample 'a'"):
        write_noisy_shard(clean, placed(clean, {"a": {"label": 1}}), tmp_path / "noisy.tar")
