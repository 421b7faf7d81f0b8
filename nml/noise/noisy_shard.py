"""One shard with its noise: the clean bytes, with the changed labels or captions written anew."""

import copy
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nml.artifacts import atomic_path
from nml.corpora.shards import damage_named, sample_at, split_name
from nml.errors import UserError
from nml.noise.overlay import Changes

SUFFIXES = {"label": "cls", "caption": "txt"}
"""The member of a sample that holds each kind of supervision."""
COPIED_AT_ONCE = 2**22


def write_noisy_shard(source: Path, changes: Changes, target: Path) -> str:
    """Copy a shard, with the members that hold a changed label or caption written anew; return the copy's SHA-256.

    Parameters
    ----------
    source : `.tar` or `.tar.gz`
    changes : by sample key, `{"offset": 1536, "label": 3}` or `{"offset": 1536, "caption": "a dog"}`
    target : as `source`; written atomically

    Raises
    ------
    UserError
        If the shard is damaged, or a sample to be changed is not where it should be.
    """
    with _opened(source) as clean:
        with damage_named(source):
            changed = [part for sample in changes.items() for part in _changed_members(source, clean, *sample)]
        with atomic_path(target) as temporary, _created(temporary) as (noisy, digest):
            clean.seek(0)
            for member, data in sorted(changed, key=lambda part: part[0].offset):
                _copy(clean, noisy, member.offset - clean.tell())
                noisy.write(_encoded(member, data))
                clean.seek(member.offset_data + _padded(member.size))
            shutil.copyfileobj(clean, noisy, COPIED_AT_ONCE)
    return digest.hexdigest()


def _changed_members(
    source: Path, stream: BinaryIO, key: str, change: dict[str, Any]
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield the place and the new content of each member of a sample that the noise changes."""
    column = next(name for name in SUFFIXES if name in change)
    found = False
    for member, read in sample_at(source, stream, key, change["offset"]):
        suffix = split_name(member.name)[1]
        if suffix == SUFFIXES[column]:
            found = True
            yield member, str(change[column]).encode()
        elif suffix == "json":
            yield member, _in_json(read(), column, change[column])
    if not found:
        raise UserError(
            f"the shard {source} has no sample '{key}' with a .{SUFFIXES[column]} at byte {change['offset']}, as the "
            "index says. Index it again."
        )


def _in_json(data: bytes, column: str, value: Any) -> bytes:
    """Return a sample's description with the noisy label or caption, if it repeats the clean one, as real shards do."""
    description = json.loads(data)
    return json.dumps(description | {column: value}, ensure_ascii=False).encode() if column in description else data


def _encoded(member: tarfile.TarInfo, data: bytes) -> bytes:
    """Return a member with other content: header, content, and zeros up to a whole number of blocks."""
    header = copy.copy(member)
    header.size = len(data)
    return header.tobuf(tarfile.GNU_FORMAT) + data.ljust(_padded(len(data)), b"\0")


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    while count:
        part = source.read(min(count, COPIED_AT_ONCE))
        target.write(part)
        count -= len(part)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a shard to read; a compressed one is held in memory, since it must be read twice, and at any place."""
    with damage_named(path):
        stream = io.BytesIO(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path.open("rb")
    with stream:
        yield stream


@contextmanager
def _created(path: Path) -> Iterator[tuple[BinaryIO, Any]]:
    """Open a shard to write; yield it, and the SHA-256 that what reaches the disk adds up to."""
    with path.open("wb") as file:
        digest = hashlib.sha256()
        hashed = _Hashed(file, digest)
        if path.suffix != ".gz":
            yield hashed, digest
            return
        # Without name and time, so that equal shards are equal bytes.
        with gzip.GzipFile("", "wb", fileobj=hashed, mtime=0) as packed:
            yield packed, digest


class _Hashed:
    """A file that is hashed while it is written, since reading it again would take as long as writing it."""

    def __init__(self, file: BinaryIO, digest: Any) -> None:
        self.file, self.digest = file, digest
        self.flush = file.flush

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)
