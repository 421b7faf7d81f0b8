"""Reading shards, with errors that name the shard and the sample."""

import gzip
import io
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from nml.corpora.content import IMAGE_SUFFIXES, class_folders, images_in
from nml.errors import UserError

NO_OFFSET = -1
"""The place of a sample that lies in a folder."""
# Bytes of zeros that end a tar.
END_MARKER = 1024
# What Pillow raises for images that are cut, damaged or none.
_CORRUPTION = (
    *(UnidentifiedImageError, Image.DecompressionBombError, OSError, EOFError),
    *(ValueError, SyntaxError, IndexError, struct.error, zlib.error),
)
# A key may have folders, but no points after them.
_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError)


class CorruptImage(UserError):
    """An image that cannot be decoded."""


def read_samples(shards: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the raw samples of shards in order: `__key__`, `__url__`, and the bytes of each member by its suffix.

    Parameters
    ----------
    shards : tars, whose members are grouped by their names up to the first dot; or class folders, whose images have
        the label `cls`, which is the folder's place among its sorted siblings, as `torchvision`'s ImageFolder counts

    Raises
    ------
    UserError
        If a shard is missing, truncated or not a tar, or a member's name leaves the folder; the shard is named.
    """
    for shard in shards:
        yield from read_range(shard)


def read_range(shard: Path, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the raw samples `start` to `stop`, without the last, of one shard; what comes before is passed over unread.

    Raises
    ------
    UserError
        As `read_samples` does.
    """
    with damage_named(shard):
        yield from _read_folder(shard, start, stop) if shard.is_dir() else _grouped(_members(shard, start, stop))


def scan_samples(shard: Path, suffixes: Collection[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield a shard's samples with the place of each; members of other suffixes are not read, and appear empty.

    The place is the byte where the sample's first member starts in the tar, uncompressed; in a folder, `NO_OFFSET`.

    Raises
    ------
    UserError
        As `read_samples` does.
    """
    with damage_named(shard):
        if shard.is_dir():
            yield from ((sample, NO_OFFSET) for sample in _read_folder(shard, suffixes=suffixes))
            return
        placed = (m | {"data": (m["offset"], m["data"])} for m in _members(shard, suffixes=suffixes))
        for sample in _grouped(placed):
            places = [value[0] for value in sample.values() if isinstance(value, tuple)]
            plain = {name: value[1] if isinstance(value, tuple) else value for name, value in sample.items()}
            yield plain, min(places)


@contextmanager
def damage_named(shard: Path) -> Iterator[None]:
    """Turn the errors of a shard that cannot be read into a `UserError` that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise UserError(
            f"the shard {shard} cannot be read to its end: {_first_line(error)}. It is missing, truncated or damaged. "
            "Restore it from its source (embedded data: `git checkout -- data/embedded`), then run again."
        ) from error


def _members(
    shard: Path, start: int = 0, stop: int | None = None, suffixes: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the files in a tar, and where each starts."""
    opener = gzip.open if shard.suffix == ".gz" else open
    number, last = -1, None
    with opener(shard, "rb") as stream:
        for member, read in members_of(shard, stream):
            key, suffix = split_name(member.name)
            number, last = number + (key != last), key
            if number == stop:
                return
            if number >= start:
                data = read() if suffixes is None or suffix in suffixes else b""
                yield {"fname": member.name, "data": data, "offset": member.offset, "__url__": str(shard)}


def members_of(shard: Path, stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Yield the headers of the files in a tar, uncompressed, and how to read each.

    Raises
    ------
    UserError
        If a member's name leaves the folder that the tar would be unpacked in.
    ValueError, OSError
        If the tar is damaged or cut, or a member is no file, or belongs to no sample.
    """
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            _require_inside(shard, member.name)
            if member.isdir():
                continue
            if not member.isreg():
                raise ValueError(f"its member '{member.name}' is a link or a device, no file")
            if split_name(member.name)[0] is None:
                raise ValueError(f"its member '{member.name}' belongs to no sample: it should be <key>.<suffix>")
            yield member, partial(_read_member, tar, member)
        _require_end(tar, stream)


def sample_at(
    shard: Path, stream: IO[bytes], key: str, offset: int
) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Yield the headers of the files of the sample that starts at a byte of a tar, and how to read each.

    Parameters
    ----------
    shard, stream : as of `members_of`
    key : of the sample; if another one starts there, nothing is yielded
    offset : as the index has it
    """
    stream.seek(offset)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            if split_name(member.name)[0] != key:
                return
            yield member, partial(_read_member, tar, member)


def split_name(name: str) -> tuple[str | None, str | None]:
    """Return the key of the sample that a member belongs to, and its suffix in small letters, as webdataset does."""
    match = _NAME.fullmatch(name)
    return (match[1], match[2].lower()) if match else (None, None)


def _grouped(members: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Put the members that follow each other under one key into a sample, as webdataset does.

    Not by webdataset, which takes two seconds to import, as it imports PyTorch.
    """
    sample: dict[str, Any] = {}
    for member in members:
        key, suffix = split_name(member["fname"])
        if key != sample.get("__key__"):
            if sample:
                yield sample
            sample = {"__key__": key, "__url__": member["__url__"]}
        if suffix in sample:
            raise ValueError(f"{member['fname']}: duplicate; its sample has a member of this suffix already")
        sample[suffix] = member["data"]
    if sample:
        yield sample


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return tar.extractfile(member).read()


def _require_inside(shard: Path, name: str) -> None:
    # A name that is not UTF-8 is a ValueError here, where the shard is known.
    name.encode()
    if name.startswith("/") or ".." in name.split("/"):
        raise UserError(
            f"the shard {shard} has the member '{name}', which points outside the folder it would be unpacked in. "
            "No sound tool writes that: get the shard from its source again."
        )


def _require_end(tar: tarfile.TarFile, stream: IO[bytes]) -> None:
    """Check that a tar whose members were all met is whole.

    `tarfile` stops without an error at a damaged header and where a stream was cut between two members, so samples
    would be lost in silence. Whatever follows the last member must be the end-of-archive marker, two blocks of zeros.

    Raises
    ------
    EOFError
        If it is not.
    """
    stream.seek(tar.offset)
    rest = stream.read()
    if len(rest) < END_MARKER or any(rest):
        raise EOFError(f"it has no end-of-archive marker after byte {tar.offset}")


def _read_folder(
    folder: Path, start: int = 0, stop: int | None = None, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> Iterator[dict[str, Any]]:
    yield from (read() for _, read in unread_images(folder, suffixes)[start:stop])


def unread_images(
    folder: Path,
    suffixes: Collection[str] = IMAGE_SUFFIXES,
    folders_in: Callable[[Path], list[str]] = class_folders,
) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return the samples of a class folder, in order, each as its key and what reads it: they may be read in any order.

    Who asks for many folders of one tree may give a `folders_in` that remembers.

    Raises
    ------
    UserError
        If the folder is missing; what reads a sample raises it if that is.
    """
    with damage_named(folder):
        label = folders_in(folder.parent).index(folder.name)
        return [(image.stem, partial(_read_image, image, label, suffixes)) for image in images_in(folder)]


def _read_image(image: Path, label: int, suffixes: Collection[str]) -> dict[str, Any]:
    suffix = image.suffix[1:].lower()
    with damage_named(image.parent):
        data = image.read_bytes() if suffix in suffixes else b""
    return {"__key__": image.stem, "__url__": str(image.parent), suffix: data, "cls": str(label).encode()}


def _first_line(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error.args[0] if error.args else error)
    return (text.splitlines() or [type(error).__name__])[0]


def decode_image(sample: dict[str, Any]) -> np.ndarray:
    """Return a sample's image as uint8 [height, width, 3], always RGB; raise what `open_image` raises."""
    return np.asarray(open_image(sample))


def open_image(sample: dict[str, Any]) -> Image.Image:
    """Return a sample's image, decoded, always RGB.

    As torchvision's, timm's and open_clip's loaders do: alpha is dropped, palettes are looked up, CMYK is converted
    without a colour profile, grey of 16 bits is clipped to 8, and the orientation that a camera noted (EXIF) is passed
    over.

    Raises
    ------
    CorruptImage
        If the image cannot be decoded to its end; shard and key are named.
    UserError
        If the sample has no image.
    """
    suffix = image_suffix(sample)
    try:
        with Image.open(io.BytesIO(sample[suffix])) as image:
            return image.convert("RGB")
    except _CORRUPTION as error:
        what = f"has a corrupt .{suffix} image ({_first_line(error)})"
        raise CorruptImage(_sample_message(sample, what)) from error


def image_suffix(sample: dict[str, Any]) -> str:
    """Return which member of a sample is its image.

    Raises
    ------
    UserError
        If there is none; shard and key are named.
    """
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in sample), None)
    if suffix is None:
        raise _sample_error(sample, f"has no image; expected a member ending in one of {', '.join(IMAGE_SUFFIXES)}")
    return suffix


def decode_label(sample: dict[str, Any], num_classes: int) -> int:
    """Return a sample's class index from its `.cls` member.

    Raises
    ------
    UserError
        If the member is missing, is not a number, or is not below `num_classes`; shard and key are named.
    """
    text = sample.get("cls")
    if text is None:
        raise _sample_error(sample, "has no label; expected a member ending in .cls")
    if not text.strip().isdigit() or int(text) >= num_classes:
        raise _sample_error(sample, f"has the label {text!r}; allowed are the integers 0 to {num_classes - 1}")
    return int(text)


def decode_caption(sample: dict[str, Any], may_be_empty: bool = False) -> str:
    """Return a sample's caption from its `.txt` member.

    Raises
    ------
    UserError
        If the member is missing, not UTF-8, or empty where that is not allowed; shard and key are named.
    """
    text = sample.get("txt")
    if text is None:
        raise _sample_error(sample, "has no caption; expected a member ending in .txt")
    try:
        caption = text.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _sample_error(sample, "has a caption that is not UTF-8") from error
    if not caption and not may_be_empty:
        raise _sample_error(sample, "has an empty caption")
    return caption


def _sample_error(sample: dict[str, Any], what: str) -> UserError:
    return UserError(_sample_message(sample, what))


def _sample_message(sample: dict[str, Any], what: str) -> str:
    return f"sample '{sample['__key__']}' in shard {sample['__url__']} {what}. Mend or remove the sample."
