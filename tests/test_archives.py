"""Archives of every kind, sound and hostile."""

import errno
import gzip
import io
import os
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from nml import archives
from nml.archives import is_archive, unpack
from nml.errors import UserError

FILES = {"data/a.txt": b"first", "data/deep/b.bin": bytes(3_000_000), "c.txt": b""}


def write_tar(path: Path, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("data/", b"")
        for name, content in FILES.items():
            packed.writestr(name, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")],
)
def test_tars_of_every_compression_are_unpacked(tmp_path: Path, name: str, mode: str) -> None:
    unpack(write_tar(tmp_path / name, mode), tmp_path / "into")
    assert tree(tmp_path / "into") == FILES
    assert (tmp_path / "into/c.txt").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR) == 0, "modes are not taken over"


def test_a_zip_is_unpacked_and_kept(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip")
    unpack(archive, tmp_path)
    archive.unlink()
    assert tree(tmp_path) == FILES


def test_a_single_packed_file_loses_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "x.h5.gz").write_bytes(gzip.compress(b"values"))
    unpack(tmp_path / "x.h5.gz", tmp_path / "into")
    assert tree(tmp_path / "into") == {"x.h5": b"values"}


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "into/data").mkdir(parents=True)
    (tmp_path / "into/data/a.txt").write_bytes(b"FIRST")
    (tmp_path / "into/mine.txt").write_bytes(b"mine")
    unpack(write_tar(tmp_path / "a.tar.gz"), tmp_path / "into")
    assert tree(tmp_path / "into") == FILES | {"data/a.txt": b"FIRST", "mine.txt": b"mine"}


@pytest.mark.parametrize("place", ["data", "data/a.txt", "data/deep/b.bin"])
def test_another_file_in_the_place_of_one_is_named_and_left(tmp_path: Path, place: str) -> None:
    path = tmp_path / "into" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"is there already and is not the one in a\.tar\.gz"):
        unpack(write_tar(tmp_path / "a.tar.gz"), tmp_path / "into")
    assert tree(tmp_path / "into") == {place: b"something else"}, "nothing was moved in"


def test_another_run_goes_on_after_a_kill(tmp_path: Path) -> None:
    left = tmp_path / "into/.a.tar.gz.unpacking/data"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    unpack(write_tar(tmp_path / "a.tar.gz"), tmp_path / "into")
    assert tree(tmp_path / "into") == FILES


def test_a_doubled_slash_is_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("data//one.txt", b"1")
    unpack(tmp_path / "a.zip", tmp_path / "into")
    assert tree(tmp_path / "into") == {"data/one.txt": b"1"}


HOSTILE = {
    "../outside.txt": "points outside",
    "data/../../outside.txt": "points outside",
    "/tmp/outside.txt": "points outside",
    "C:/outside.txt": "points outside",
    "data\\..\\outside.txt": "points outside",
    "./../outside.txt": "points outside",
    "data/..": "points outside",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_leads_outside_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("good.txt", b"good")
            packed.writestr(zipfile.ZipInfo(name), b"bad")
    else:
        with tarfile.open(archive, "w") as tar:
            for member in ("good.txt", name):
                tar.addfile(tarfile.TarInfo(member))
    with pytest.raises(UserError, match=HOSTILE[name]):
        unpack(archive, tmp_path / "deep/into")
    assert tree(tmp_path / "deep") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "deep"]


KINDS = {
    "symlink": (tarfile.SYMTYPE, stat.S_IFLNK),
    "hard link": (tarfile.LNKTYPE, None),
    "fifo": (tarfile.FIFOTYPE, stat.S_IFIFO),
    "character device": (tarfile.CHRTYPE, stat.S_IFCHR),
    "block device": (tarfile.BLKTYPE, stat.S_IFBLK),
}


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = KINDS[kind][0], "/etc/passwd"
        tar.addfile(info)
        tar.addfile(tarfile.TarInfo("odd/through"))
    with pytest.raises(UserError, match="its member 'odd' is a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


@pytest.mark.parametrize("kind", [kind for kind, (_, mode) in KINDS.items() if mode])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        info = zipfile.ZipInfo("odd")
        info.external_attr = (KINDS[kind][1] | 0o777) << 16
        packed.writestr(info, b"/etc/passwd")
    with pytest.raises(UserError, match="its member 'odd' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_archive_is_named_and_leaves_nothing(tmp_path: Path, kind: str, share: float) -> None:
    archive = tmp_path / f"a.{kind}"
    (write_zip if kind == "zip" else write_tar)(archive)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"is damaged or cannot be read: .*It was left as it is"):
        unpack(archive, tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []
    assert archive.is_file()


def test_a_changed_byte_in_a_zip_is_found(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.txt", b"x" * 1000)
    content = bytearray(archive.read_bytes())
    content[500] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match="is damaged or cannot be read: Bad CRC"):
        unpack(archive, tmp_path / "into")


def changed_tar(path: Path, mode: str = "w:gz") -> Path:
    """Write a tar of noise in which one bit in the middle was changed."""
    with tarfile.open(path, mode) as tar:
        info = tarfile.TarInfo("noise.bin")
        info.size = 300_000
        tar.addfile(info, io.BytesIO(random.Random(0).randbytes(info.size)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")]
)
def test_a_changed_byte_in_a_packed_tar_is_found(tmp_path: Path, name: str, mode: str) -> None:
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        unpack(changed_tar(tmp_path / name, mode), tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


def test_a_changed_byte_in_an_archive_in_an_archive_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(changed_tar(tmp_path / "inner.tar.gz"), "inner.tar.gz")
    with pytest.raises(UserError, match=r"outer\.zip is damaged"):
        unpack(tmp_path / "outer.zip", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


def test_damage_in_a_zip_that_bzip2_finds_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("a.bin", random.Random(0).randbytes(10_000))
    content = bytearray(archive.read_bytes())
    content[5000] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match="is damaged or cannot be read"):
        unpack(archive, tmp_path / "into")


def test_a_zip_packed_in_an_unknown_way_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.txt", b"x")
    content = bytearray(archive.read_bytes())
    for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.index(header) + method] = 97
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"cannot be read: .*compression"):
        unpack(archive, tmp_path / "into")


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c"), ("x" * 300,)])
def test_members_that_cannot_lie_side_by_side_are_named(tmp_path: Path, names: tuple[str, ...]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="is damaged or cannot be read"):
        unpack(tmp_path / "a.tar", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(UserError, match="no space is left"):
        unpack(write_tar(tmp_path / "a.tar"), tmp_path / "into")


def test_a_zip_that_is_larger_than_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "a.zip")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"unpacking a\.zip needs 3\.0 MB"):
        unpack(archive, tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


def test_archives_in_an_archive_are_unpacked_where_they_lie(tmp_path: Path) -> None:
    inner = write_tar(tmp_path / "inner.tar.gz")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(inner, "deep/inner.tar.gz")
    unpack(tmp_path / "outer.zip", tmp_path / "into")
    assert tree(tmp_path / "into") == {f"deep/{name}": content for name, content in FILES.items()}
    assert inner.is_file()


def test_what_macos_adds_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("__MACOSX/", "__MACOSX/data/._a.tar.gz", "data/._b.jpg", "data/b.jpg"):
            packed.writestr(name, b"")
    unpack(tmp_path / "a.zip", tmp_path / "into")
    assert tree(tmp_path / "into") == {"data/b.jpg": b""}
    assert os.listdir(tmp_path / "into") == ["data"]


def test_a_folder_of_an_archive_is_left_out(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar")
    unpack(tmp_path / "a.tar", tmp_path / "into", strip="data")
    assert tree(tmp_path / "into") == {name.removeprefix("data/"): content for name, content in FILES.items()}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_is_absolute_once_its_folder_is_left_out_is_refused(tmp_path: Path, kind: str) -> None:
    archive, outside = tmp_path / f"a.{kind}", tmp_path / "outside.txt"
    name = f"data/{outside}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr(name, b"bad")
    else:
        with tarfile.open(archive, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="points outside"):
        unpack(archive, tmp_path / "into", strip="data")
    assert not outside.exists()


def bomb(path: Path) -> Path:
    """Write three megabytes of one byte, packed at about a thousandth of it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("zeros", bytes(3_000_000))
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo("zeros")
            info.size = 3_000_000
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    else:
        path.write_bytes(gzip.compress(b"x" * 3_000_000))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.h5.gz"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_bomb_is_refused_before_it_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, inside: bool
) -> None:
    archive = bomb(tmp_path / name)
    if inside and name != "a.h5.gz":
        with tarfile.open(tmp_path / "outer.tar", "w") as tar:
            tar.add(archive, name)
        archive = tmp_path / "outer.tar"
    unpack(archive, tmp_path / "small")
    monkeypatch.setattr(archives, "_SMALL", 1 << 20)
    with pytest.raises(UserError, match="holds more than 100 times its size"):
        unpack(archive, tmp_path / "into")
    assert os.listdir(tmp_path / "into") == []


def test_a_folder_that_is_there_as_a_link_to_elsewhere_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "into/data").symlink_to(tmp_path / "disk")
    unpack(write_tar(tmp_path / "a.tar"), tmp_path / "into")
    assert (tmp_path / "disk/a.txt").read_bytes() == b"first"


def test_a_hostile_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "inner.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../../../outside"))
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(tmp_path / "inner.tar", "inner.tar")
    with pytest.raises(UserError, match="points outside"):
        unpack(tmp_path / "outer.zip", tmp_path / "deep/into")
    assert tree(tmp_path / "deep") == {}


@pytest.mark.parametrize(("file", "is_one"), [("a.tar.gz", True), ("a.zip", True), ("x.h5.gz", True), ("a.mat", False)])
def test_archives_are_told_by_their_names(file: str, is_one: bool) -> None:
    assert is_archive(file) == is_one
