"""The index of one shard, kept in a file of its own until the whole corpus is indexed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nml.artifacts import write_parquet
from nml.corpora.catalogue import Shard
from nml.corpora.content import IMAGE_SUFFIXES, sha256_of, stamp_of
from nml.corpora.shards import damage_named, decode_caption, decode_image, decode_label, image_suffix, scan_samples
from nml.errors import UserError
from nml.seeds import hash_keys

PART_SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "label": pa.int64(),
        "caption": pa.large_string(),
        "offset": pa.int64(),
        "key_hash": pa.uint64(),
    }
)
_NOTE = b"nml"


@dataclass(frozen=True)
class Checks:
    """What every sample must have: `labels` below `classes`, `captions`, and an image, decoded or only there."""

    has: tuple[str, ...]
    classes: int
    empty_captions: bool
    check_images: bool
    code: str

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The members that have to be read."""
        return ("cls", "txt", *(IMAGE_SUFFIXES if self.check_images else ()))


def made_of(shard: Shard, checks: Checks) -> dict[str, Any]:
    """Return what a part follows from, by what is quick to see: with another of these, it must be made again."""
    with damage_named(shard.path):
        size, modified = stamp_of(shard.path)
    return {"shard": shard.name, "prefix": shard.prefix, "bytes": size, "modified": modified, "checks": repr(checks)}


def index_shard(shard: Shard, checks: Checks, part: Path) -> None:
    """Read a shard, check its samples, and write their rows to `part`, with a note of what it was made of.

    Raises
    ------
    UserError
        If the shard is damaged, a sample lacks what it must have, or the shard changes meanwhile.
    """
    source = made_of(shard, checks)
    rows = [_row(sample, checks, offset) for sample, offset in scan_samples(shard.path, checks.suffixes)]
    with damage_named(shard.path):
        sha256 = sha256_of(shard.path)
    if made_of(shard, checks) != source:
        raise UserError(f"the shard {shard.path} changed while it was read. Wait until nothing writes to it.")
    keys = [shard.prefix + key for key, _, _, _ in rows]
    _, labels, captions, offsets = zip(*rows, strict=True) if rows else ((), (), (), ())
    values = (keys, labels, captions, offsets, hash_keys(keys, salt="index"))
    note = json.dumps({"made_of": source, "samples": len(rows), "empty_captions": captions.count(""), "sha256": sha256})
    write_parquet(part, dict(zip(PART_SCHEMA.names, values, strict=True)), PART_SCHEMA.with_metadata({_NOTE: note}))


def _row(sample: dict[str, Any], checks: Checks, offset: int) -> tuple[str, int | None, str | None, int]:
    if checks.check_images:
        decode_image(sample)
    else:
        image_suffix(sample)
    label = decode_label(sample, checks.classes) if "labels" in checks.has else None
    caption = decode_caption(sample, checks.empty_captions) if "captions" in checks.has else None
    return sample["__key__"], label, caption, offset


def read_note(part: Path) -> dict[str, Any] | None:
    """Return what a part says of itself; None if it is not there or not whole."""
    try:
        return json.loads(pq.read_schema(part).metadata[_NOTE])
    # Arrow's error for a file that is no Parquet is a ValueError.
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_part(part: Path, *columns: str) -> pa.Table:
    """Return columns of a part."""
    return pq.ParquetFile(part).read(columns=list(columns))
