"""Unpacking archives that others made: nothing is written outside the folder, and nothing that is there is changed."""

import errno
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nml.artifacts import full_disk_named
from nml.downloads import require_room
from nml.errors import UserError
from nml.progress import Progress

_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError),
    # What zipfile raises for a compression that it does not know, and for names in no encoding.
    *(NotImplementedError, UnicodeDecodeError),
)
# Of an `OSError`: bzip2 and gzip give damage no number, and the others are of members that cannot lie side by side.
_DAMAGE_NUMBERS = (None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
_CHUNK = 1 << 20
# No data set packs better; a small archive may do as it likes.
_LARGEST_RATIO = 100
_SMALL = 1 << 30
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
Member = tuple[str, IO[bytes] | None]
"""A member's name, and its content, or None for a folder."""


def is_archive(file: str) -> bool:
    """Tell by its name whether `unpack` can unpack a file."""
    return file.endswith((".zip", ".gz", *_TARS))


def unpack(archive: Path, folder: Path, strip: str = "") -> None:
    """Unpack a .zip, a .tar in any compression, or a single .gz into a folder, all or nothing.

    Archives in the archive are unpacked where they lie. A file that is there already with the same size is left alone.
    What macOS adds, `__MACOSX` and `._*`, is passed over. What lies in the folder `strip` of the archive is put one
    level up.

    Raises
    ------
    UserError
        If the archive is damaged, encrypted or packed in an unknown way; if a member is absolute, leads out of the
        folder, is a link, a device, or anything else than a file or a folder; if it holds far more than any sound one
        of its size; if another file is in a member's place; or if the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{archive.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    allowance = _Allowance(archive)
    try:
        with full_disk_named(folder, f"{archive} is kept."), _damage_named(archive):
            _unpack_into(archive, staging, allowance, strip)
            for inner in sorted(path for path in staging.rglob("*") if path.name.endswith((".zip", *_TARS))):
                _unpack_into(inner, inner.parent, allowance)
                inner.unlink()
        _require_free(staging, folder, archive)
        _move_in(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _DAMAGE_NUMBERS:
            raise
        raise UserError(
            f"{archive} is damaged or cannot be read: {_first_line(error)}. It was left as it is; move it away and "
            "fetch it again."
        ) from error


class _Allowance:
    """How many bytes may still come out of an archive and those in it: a bomb would fill the disk."""

    def __init__(self, archive: Path) -> None:
        self._archive, self._left = archive, max(_SMALL, _LARGEST_RATIO * archive.stat().st_size)

    def counted(self, content: IO[bytes]) -> "_Counted":
        return _Counted(content, self)

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise UserError(
                f"{self._archive} is not unpacked: it holds more than {_LARGEST_RATIO} times its size. No sound data "
                "set has that: get it from its source."
            )


@dataclass(frozen=True)
class _Counted:
    """A member's content, whose bytes count."""

    content: IO[bytes]
    allowance: _Allowance

    def read(self, size: int) -> bytes:
        data = self.content.read(size)
        self.allowance.spend(len(data))
        return data


def _unpack_into(archive: Path, folder: Path, allowance: _Allowance, strip: str = "") -> None:
    with archive.open("rb") as raw:
        for name, content in _members(archive, raw):
            inside = _inside(archive, name, strip)
            if not _is_of_macos(inside):
                place = folder / (inside.removeprefix(f"{strip}/") if strip else inside)
                _write(place, content and allowance.counted(content))


def _is_of_macos(name: str) -> bool:
    return any(part == "__MACOSX" or part.startswith("._") for part in name.split("/"))


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _members(archive: Path, raw: IO[bytes]) -> Iterator[Member]:
    size = archive.stat().st_size
    progress = Progress(f"unpack {archive.name}", max(size // _CHUNK, 1), unit="MiB")
    if archive.suffix == ".zip":
        members = _zip_members(archive, raw)
    elif archive.suffix == ".gz" and not tarfile.is_tarfile(archive):
        members = _single(archive, raw)
    else:
        members = _tar_members(archive, raw)
    for member in members:
        yield member
        if (steps := min(raw.tell() // _CHUNK, progress.total) - progress.done) > 0:
            progress.advance(steps)


def _zip_members(archive: Path, raw: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(raw) as packed:
        require_room(archive.parent, sum(info.file_size for info in packed.infolist()), f"unpacking {archive.name}")
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(archive, info.filename, "is a link or a device, no file")
            if info.flag_bits & 0x1:
                raise _refusal(archive, info.filename, "is encrypted")
            if info.is_dir():
                yield info.filename, None
                continue
            with packed.open(info) as content:
                yield info.filename, content


def _tar_members(archive: Path, raw: IO[bytes]) -> Iterator[Member]:
    with tarfile.open(fileobj=raw, mode="r:*") as packed:
        for info in packed:
            if not (info.isreg() or info.isdir()):
                raise _refusal(archive, info.name, "is a link or a device, no file")
            yield info.name, packed.extractfile(info)
        # A tar ends before its compressed stream does, and the checksum of that is behind its last byte.
        while packed.fileobj.read(_CHUNK):
            pass


def _single(archive: Path, raw: IO[bytes]) -> Iterator[Member]:
    with gzip.open(raw) as content:
        yield archive.name.removesuffix(".gz"), content


def _inside(archive: Path, name: str, strip: str) -> str:
    """Return a member's name without empty parts; refuse one that is absolute, also where `strip` is taken away."""
    parts = [part for place, part in enumerate(name.split("/")) if part or place == 0]
    if (
        name.removeprefix(f"{strip}/").startswith("/")
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or ".." in parts
        or ":" in parts[0]
    ):
        raise _refusal(archive, name, "points outside the folder it would be unpacked in")
    return "/".join(parts) + "/" * name.endswith("/")


def _write(path: Path, content: "_Counted | None") -> None:
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)


def _require_free(source: Path, target: Path, archive: Path) -> None:
    """Check that nothing in one folder is in the way of what is in another."""
    for entry in source.iterdir():
        place = target / entry.name
        if not place.exists():
            continue
        if entry.is_dir() and place.is_dir():
            _require_free(entry, place, archive)
        elif entry.is_dir() or place.is_dir() or entry.stat().st_size != place.stat().st_size:
            raise UserError(
                f"{place} is there already and is not the one in {archive.name}. It was left as it is; move it away, "
                "then run again."
            )


def _move_in(source: Path, target: Path) -> None:
    """Move what is in one folder into another; where both have a folder, what is in that."""
    for entry in source.iterdir():
        place = target / entry.name
        if not place.exists():
            os.replace(entry, place)
        elif entry.is_dir():
            _move_in(entry, place)


def _refusal(archive: Path, name: str, what: str) -> UserError:
    return UserError(
        f"{archive} is not unpacked: its member '{name}' {what}. No sound data set has that: get it from its source."
    )
