"""Damage in a shard or a sample never passes in silence: the error names the shard, and the key where there is one."""

import gzip
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from webdataset import tarfile_to_samples
from webdataset.tariterators import base_plus_ext, group_by_keys

from nml.corpora.shards import (
    _grouped,
    decode_caption,
    decode_image,
    decode_label,
    read_range,
    read_samples,
    scan_samples,
    split_name,
)
from nml.errors import UserError

SAMPLES = [(f"key{number}", number % 3, f"caption {number}") for number in range(5)]
ARCHIVES = ["shard.tar", "shard.tar.gz"]
BLOCK = 512


@pytest.fixture
def shard(tmp_path: Path, write_shard: Callable, sample_files: Callable) -> Callable[[str], Path]:
    return lambda name: write_shard(tmp_path / name, sample_files(SAMPLES))


def a_sample(**members: bytes) -> dict:
    return {"__key__": "1f98a", "__url__": "emoji-07.tar", **members}


@pytest.mark.parametrize("name", ARCHIVES)
def test_samples_come_whole_and_in_order(shard: Callable, name: str) -> None:
    samples = list(read_samples([shard(name)]))
    assert [sample["__key__"] for sample in samples] == [key for key, _, _ in SAMPLES]
    assert [decode_label(sample, 3) for sample in samples] == [label for _, label, _ in SAMPLES]
    assert [decode_caption(sample) for sample in samples] == [caption for _, _, caption in SAMPLES]
    assert {decode_image(sample).shape for sample in samples} == {(8, 8, 3)}


@pytest.mark.parametrize("name", ARCHIVES)
def test_it_reads_what_webdataset_reads(shard: Callable, name: str) -> None:
    path = shard(name)
    assert list(read_samples([path])) == list(tarfile_to_samples()([{"url": str(path)}]))


def content_end(tar: bytes) -> int:
    """Return the byte after the last member, where the end-of-archive marker starts."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        last = archive.getmembers()[-1]
    return last.offset_data + -(-last.size // BLOCK) * BLOCK


def test_a_truncated_tar_is_refused_wherever_it_was_cut(shard: Callable) -> None:
    path = shard("shard.tar")
    whole = path.read_bytes()
    end = content_end(whole) + 2 * BLOCK
    boundaries = range(0, end, BLOCK)
    for cut in sorted({*boundaries, *range(7, end, 97), end - 1}):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"shard\.tar cannot be read to its end"):
            list(read_samples([path]))
    path.write_bytes(whole[:end])
    assert len(list(read_samples([path]))) == len(SAMPLES)


def test_a_truncated_tar_gz_is_refused_wherever_it_was_cut(shard: Callable) -> None:
    path = shard("shard.tar.gz")
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"shard\.tar\.gz cannot be read to its end"):
            list(read_samples([path]))


def test_a_tar_gz_of_a_truncated_tar_is_refused(shard: Callable) -> None:
    path = shard("shard.tar.gz")
    whole = gzip.decompress(path.read_bytes())
    for cut in range(0, content_end(whole) + 1, BLOCK):
        path.write_bytes(gzip.compress(whole[:cut]))
        with pytest.raises(UserError, match="cannot be read to its end"):
            list(read_samples([path]))


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_header_in_the_middle_does_not_end_the_shard_in_silence(shard: Callable, name: str) -> None:
    path = shard(name)
    packed = path.suffix == ".gz"
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    data[6 * BLOCK + 150] ^= 0xFF
    path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))
    with pytest.raises(UserError, match=r"no end-of-archive marker after byte \d+"):
        list(read_samples([path]))


def test_a_flipped_bit_in_a_tar_gz_is_refused(shard: Callable) -> None:
    path = shard("shard.tar.gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"shard\.tar\.gz.*CRC"):
        list(read_samples([path]))


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n" * 40)
    with pytest.raises(UserError, match=f"{name} cannot be read"):
        list(read_samples([tmp_path / name]))


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.tar cannot be read to its end: No such file"):
        list(read_samples([tmp_path / "gone.tar"]))


def test_a_file_twice_in_a_row_is_refused(tmp_path: Path, write_shard: Callable) -> None:
    path = write_shard(tmp_path / "twice.tar", [("a.cls", b"0"), ("a.cls", b"1")])
    with pytest.raises(UserError, match=r"twice\.tar.*a\.cls: duplicate"):
        list(read_samples([path]))


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "a/.."])
def test_a_member_that_leaves_its_folder_is_refused(tmp_path: Path, write_shard: Callable, name: str) -> None:
    path = write_shard(tmp_path / "evil.tar", [("a.cls", b"0"), (name, b"x")])
    with pytest.raises(UserError, match=rf"evil\.tar has the member '{name}', which points outside"):
        list(read_samples([path]))
    with pytest.raises(UserError, match="points outside"):
        list(scan_samples(path, ()))


@pytest.mark.parametrize(
    ("kind", "what"), [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.FIFOTYPE, "device")]
)
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, kind: bytes, what: str) -> None:
    member = tarfile.TarInfo("a.jpg")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        tar.addfile(member)
    with pytest.raises(UserError, match=rf"links\.tar cannot be read.*its member 'a\.jpg' is a .*{what}"):
        list(read_samples([tmp_path / "links.tar"]))


def test_a_folder_in_a_tar_is_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "folder.tar", "w") as tar:
        folder = tarfile.TarInfo("part")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("part/a.cls"))
    assert [sample["__key__"] for sample in read_samples([tmp_path / "folder.tar"])] == ["part/a"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "latin.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        tar.addfile(tarfile.TarInfo("café.cls"))
    with pytest.raises(UserError, match=r"latin\.tar cannot be read to its end: .*utf-8"):
        list(read_samples([tmp_path / "latin.tar"]))


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize(("start", "stop"), [(0, None), (1, None), (0, 1), (1, 2), (2, 2), (5, 9)])
def test_a_range_is_a_part_of_the_whole(shard: Callable, name: str, start: int, stop: int | None) -> None:
    path = shard(name)
    assert list(read_range(path, start, stop)) == list(read_samples([path]))[start:stop]


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_scan_sees_the_same_samples_and_reads_what_it_is_asked_for(shard: Callable, name: str) -> None:
    path = shard(name)
    scanned = [sample for sample, _ in scan_samples(path, ["cls", "txt"])]
    assert scanned == [sample | {"webp": b""} for sample in read_samples([path])]


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_scan_finds_a_truncated_shard_though_it_skips_its_images(shard: Callable, name: str) -> None:
    path = shard(name)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97) if path.suffix == ".gz" else range(0, content_end(whole) + 2 * BLOCK, 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="cannot be read to its end"):
            list(scan_samples(path, ["cls", "txt"]))


def test_suffixes_are_read_in_any_case(tmp_path: Path, write_shard: Callable) -> None:
    path = write_shard(tmp_path / "upper.tar", [("a.CLS", b"0"), ("a.JPG", b"x")])
    assert next(scan_samples(path, ["cls"]))[0] == {"__key__": "a", "__url__": str(path), "cls": b"0", "jpg": b""}


def test_a_class_folder_has_images_alone(tmp_path: Path) -> None:
    for name in ("tench/a.JPEG", "tench/b.png", "tench/Thumbs.db", "bird/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    folder = tmp_path / "tench"
    assert list(read_samples([folder])) == [
        {"__key__": "a", "__url__": str(folder), "jpeg": b"tench/a.JPEG", "cls": b"1"},
        {"__key__": "b", "__url__": str(folder), "png": b"tench/b.png", "cls": b"1"},
    ]


def png(mode: str, colour: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 6), colour).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGBA", (7, 7, 7, 255)), ("P", 0), ("RGB", (7, 7, 7))])
def test_images_of_every_mode_become_rgb(mode: str, colour: object) -> None:
    image = decode_image(a_sample(png=png(mode, colour)))
    assert (image.shape, image.dtype) == ((6, 4, 3), np.uint8)


def test_a_truncated_image_is_refused(shard: Callable) -> None:
    sample = next(read_samples([shard("shard.tar")]))
    whole = sample["webp"]
    for cut in range(0, len(whole) - 8, 5):
        with pytest.raises(UserError, match=r"sample 'key0' in shard .*shard\.tar has a corrupt \.webp image"):
            decode_image(sample | {"webp": whole[:cut]})


REFUSED = {
    "no image": (lambda s: decode_image(s), {"cls": b"0"}, "has no image; expected .*webp"),
    "image that is none": (lambda s: decode_image(s), {"png": b"<html>"}, r"has a corrupt \.png image"),
    "no label": (lambda s: decode_label(s, 3), {"txt": b"a"}, r"has no label; expected .*\.cls"),
    "label that is no number": (lambda s: decode_label(s, 3), {"cls": b"cat"}, "allowed are the integers 0 to 2"),
    "empty label": (lambda s: decode_label(s, 3), {"cls": b""}, "allowed are the integers 0 to 2"),
    "negative label": (lambda s: decode_label(s, 3), {"cls": b"-1"}, "has the label b'-1'"),
    "label out of range": (lambda s: decode_label(s, 3), {"cls": b"3"}, "has the label b'3'.* 0 to 2"),
    "no caption": (lambda s: decode_caption(s), {"cls": b"0"}, r"has no caption; expected .*\.txt"),
    "empty caption": (lambda s: decode_caption(s), {"txt": b" \n"}, "has an empty caption"),
    "caption not in UTF-8": (lambda s: decode_caption(s), {"txt": b"caf\xe9"}, "a caption that is not UTF-8"),
}


@pytest.mark.parametrize(("decode", "members", "message"), REFUSED.values(), ids=REFUSED)
def test_a_broken_sample_is_refused(decode: Callable, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=rf"sample '1f98a' in shard emoji-07\.tar .*{message}"):
        decode(a_sample(**members))


def test_labels_and_captions_may_end_in_a_newline() -> None:
    assert decode_label(a_sample(cls=b"2\n"), 3) == 2
    assert decode_caption(a_sample(txt="ein Bär\n".encode())) == "ein Bär"


NAMES = st.lists(st.text(alphabet="ab./A", min_size=1, max_size=5), max_size=12)


@given(NAMES)
def test_samples_are_grouped_as_webdataset_groups_them(names: list[str]) -> None:
    members = [
        {"fname": name, "data": bytes([place]), "__url__": "x.tar"}
        for place, name in enumerate(names)
        if base_plus_ext(name)[0] is not None
    ]
    assert [split_name(name) for name in names] == [
        (key, suffix and suffix.lower()) for key, suffix in map(base_plus_ext, names)
    ]
    try:
        expected = list(group_by_keys(members))
    except ValueError:
        with pytest.raises(ValueError, match="duplicate"):
            list(_grouped(members))
    else:
        assert list(_grouped(members)) == expected


def test_reading_needs_no_pytorch() -> None:
    code = "import sys, nml.corpora.shards; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
