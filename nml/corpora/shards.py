"""Reading WebDataset shards, with errors that name the shard and the sample."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from webdataset.tariterators import group_by_keys

from nml.errors import UserError

IMAGE_SUFFIXES = ("webp", "png", "jpg", "jpeg")
# Bytes of zeros that end a tar.
END_MARKER = 1024
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError)


def read_samples(shards: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the raw samples of shards in order: `__key__`, `__url__`, and the bytes of each member by its suffix.

    Raises
    ------
    UserError
        If a shard is missing, truncated or not a tar; the shard is named.
    """
    for shard in shards:
        try:
            yield from group_by_keys(_members(shard))
        except _DAMAGE as error:
            raise UserError(
                f"the shard {shard} cannot be read to its end: {_first_line(error)}. It is missing, truncated or "
                "damaged. Restore it from its source (embedded data: `git checkout -- data/embedded`), then run again."
            ) from error


def _members(shard: Path) -> Iterator[dict[str, Any]]:
    """Yield the files in a shard, in the form that webdataset groups into samples.

    `tarfile` stops without an error at a damaged header and where a stream was cut between two members, so samples
    would be lost in silence. Whatever follows the last member must be the end-of-archive marker, two blocks of zeros.
    """
    opener = gzip.open if shard.suffix == ".gz" else open
    with opener(shard, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            if member.isreg() and "." not in Path(member.name).name:
                raise ValueError(f"its member '{member.name}' has no suffix, so it belongs to no sample")
            if member.isreg():
                yield {"fname": member.name, "data": tar.extractfile(member).read(), "__url__": str(shard)}
        stream.seek(tar.offset)
        rest = stream.read()
    if len(rest) < END_MARKER or any(rest):
        raise EOFError(f"it has no end-of-archive marker after byte {tar.offset}")


def _first_line(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error.args[0] if error.args else error)
    return (text.splitlines() or [type(error).__name__])[0]


def decode_image(sample: dict[str, Any]) -> np.ndarray:
    """Return a sample's image as uint8 [height, width, 3], always RGB.

    Raises
    ------
    UserError
        If the sample has no image or the image is corrupt; shard and key are named.
    """
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in sample), None)
    if suffix is None:
        raise _sample_error(sample, f"has no image; expected a member ending in one of {', '.join(IMAGE_SUFFIXES)}")
    try:
        with Image.open(io.BytesIO(sample[suffix])) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise _sample_error(sample, f"has a corrupt .{suffix} image ({_first_line(error)})") from error


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


def decode_caption(sample: dict[str, Any]) -> str:
    """Return a sample's caption from its `.txt` member.

    Raises
    ------
    UserError
        If the member is missing, empty or not UTF-8; shard and key are named.
    """
    text = sample.get("txt")
    if text is None:
        raise _sample_error(sample, "has no caption; expected a member ending in .txt")
    try:
        caption = text.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _sample_error(sample, "has a caption that is not UTF-8") from error
    if not caption:
        raise _sample_error(sample, "has an empty caption")
    return caption


def _sample_error(sample: dict[str, Any], what: str) -> UserError:
    return UserError(f"sample '{sample['__key__']}' in shard {sample['__url__']} {what}. Mend or remove the sample.")
