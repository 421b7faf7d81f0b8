"""The index of a corpus: one row a sample, checked once, so that later stages need not open every shard."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nml.artifacts import atomic_path, full_disk_named, sha256_file, write_json
from nml.codehash import code_hash
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.parts import Checks, index_shard, made_of, read_note, read_part
from nml.errors import UserError
from nml.processes import in_processes
from nml.progress import Progress

INDEX_SCHEMA = pa.schema(
    {
        "split": pa.string(),
        "shard": pa.string(),
        "key": pa.string(),
        "label": pa.int64(),
        "caption": pa.large_string(),
        "offset": pa.int64(),
    }
)
ROW_GROUP = 2**20
# Less than this is read before another process has started.
BYTES_A_WORKER = 2**26


@dataclass(frozen=True)
class _Part:
    """A shard, and the file that holds its rows."""

    split: str
    shard: Shard
    file: Path


def index_corpus(corpus: Corpus, out_dir: Path, workers: int = 1, progress_dir: Path | None = None) -> None:
    """Read every shard, check every sample, and write `index.parquet` and `manifest.json`.

    The index has a row a sample, shard by shard: split, shard, key, label and caption (null where the corpus has
    none), and the byte where the sample starts in its tar (-1 in a folder). The manifest has the classes and, per
    split, each shard's samples, bytes, time of modification and SHA-256. Neither depends on the number of workers.

    Parameters
    ----------
    corpus : the clean shards
    out_dir : `results/corpora/<corpus>`
    workers : processes, at most
    progress_dir : where each shard's rows wait for the others; a run that was killed goes on from there, and reads
        again only shards that changed. It stays: who made it knows when the index is there for good. By default, a
        folder beside `out_dir`, which goes when the index is written.

    Raises
    ------
    UserError
        If a shard is damaged or is not the one that `info.json` lists, a sample lacks its image, label or caption, a
        key occurs twice, or the disk is full.
    """
    if progress_dir is None:
        progress_dir = out_dir.with_name(f".{out_dir.name}.progress")
        index_corpus(corpus, out_dir, workers, progress_dir)
        shutil.rmtree(progress_dir)
        return
    shards = [(split, shard) for split, found in corpus.shards.items() for shard in found]
    parts = [_Part(split, shard, progress_dir / f"{n:06}.parquet") for n, (split, shard) in enumerate(shards)]
    with full_disk_named(progress_dir):
        _make_parts(corpus, parts, workers)
    notes = [read_note(part.file) for part in parts]
    _require_unique(parts)
    _require_listed_content(corpus, parts, notes)
    with full_disk_named(out_dir):
        _write_index(parts, out_dir / "index.parquet")
        write_json(out_dir / "manifest.json", _manifest(corpus, parts, notes, out_dir / "index.parquet"))


def _make_parts(corpus: Corpus, parts: list[_Part], workers: int) -> None:
    """Index each shard that has no part of its present state yet."""
    checks = Checks(
        corpus.has, len(corpus.class_names), corpus.empty_captions, corpus.check_images, code_hash([__file__])
    )
    sources = [made_of(part.shard, checks) for part in parts]
    missing = [n for n, part in enumerate(parts) if (read_note(part.file) or {}).get("made_of") != sources[n]]
    progress = Progress(f"index {corpus.name}", len(parts), unit="shards", done=len(parts) - len(missing))
    jobs = [(parts[n].shard, checks, parts[n].file) for n in missing]
    useful = 1 + sum(sources[n]["bytes"] for n in missing) // BYTES_A_WORKER
    with closing(in_processes(index_shard, jobs, min(workers, useful))) as indexed:
        for _ in indexed:
            progress.advance()


def _require_unique(parts: list[_Part]) -> None:
    """Refuse a key that occurs twice. Hashes are sorted, not keys: fifteen million strings would fill the memory."""
    columns = [read_part(part.file, "key_hash")["key_hash"].to_numpy() for part in parts]
    ends = np.cumsum([len(column) for column in columns])
    hashes = np.concatenate(columns)
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(np.diff(hashes[order]) == 0)
    for place in same[np.argsort(order[same + 1])]:
        (first, key), (second, other) = (_locate(parts, ends, row) for row in order[place : place + 2])
        # Different keys may have the same hash.
        if key == other:
            raise UserError(
                f"the key '{key}' occurs twice in the corpus, in shard {first} and in shard {second}. Keys must be "
                "unique, since noise goes by them. Rename or remove one of the samples."
            )


def _locate(parts: list[_Part], ends: np.ndarray, row: int) -> tuple[Path, str]:
    """Return the shard that a row of the index is in, and the row's key."""
    number = int(np.searchsorted(ends, row, side="right"))
    key = read_part(parts[number].file, "key")["key"][int(row - ends[number])].as_py()
    return parts[number].shard.path, key


def _require_listed_content(corpus: Corpus, parts: list[_Part], notes: list[dict[str, Any]]) -> None:
    for part, note in zip(parts, notes, strict=True):
        if corpus.listed.get(part.shard.name, note["sha256"]) != note["sha256"]:
            raise UserError(
                f"the shard {part.shard.path} is whole, but is not the one whose SHA-256 the corpus' info.json lists. "
                "Restore the shard, or update the list if the change is meant."
            )


def _write_index(parts: list[_Part], path: Path) -> None:
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, INDEX_SCHEMA, compression="zstd") as writer:
        for rows in _row_groups(parts):
            writer.write_table(rows, row_group_size=ROW_GROUP)


def _row_groups(parts: list[_Part]) -> Iterator[pa.Table]:
    """Yield the rows of the index, about `ROW_GROUP` at once: all captions together may not fit in the memory."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(_rows(part))
        if sum(map(len, held)) >= ROW_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _rows(part: _Part) -> pa.Table:
    rows = read_part(part.file, *INDEX_SCHEMA.names[2:])
    place = {name: pa.repeat(text, len(rows)) for name, text in (("split", part.split), ("shard", part.shard.name))}
    return pa.table(place | {name: rows[name] for name in rows.column_names}, schema=INDEX_SCHEMA)


def _manifest(corpus: Corpus, parts: list[_Part], notes: list[dict[str, Any]], index: Path) -> dict[str, Any]:
    splits: dict[str, dict[str, Any]] = {split: {} for split in corpus.shards}
    for part, note in zip(parts, notes, strict=True):
        stamp = {fact: note["made_of"][fact] for fact in ("bytes", "modified")}
        splits[part.split][part.shard.name] = {"samples": note["samples"], "sha256": note["sha256"]} | stamp
    about: dict[str, Any] = {"corpus": corpus.name, "classes": corpus.class_names}
    about |= {"empty_captions": sum(note["empty_captions"] for note in notes)}
    return about | {"splits": splits, "index_sha256": sha256_file(index)}
