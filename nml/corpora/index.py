"""The index of a corpus: one row a sample, checked once, so that later stages need not open every shard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from nml.artifacts import sha256_file, write_json, write_parquet
from nml.corpora.catalogue import Corpus, listed_shards
from nml.corpora.shards import decode_caption, decode_image, decode_label, read_samples
from nml.errors import UserError
from nml.progress import Progress

INDEX_SCHEMA = pa.schema(
    {"split": pa.string(), "shard": pa.string(), "key": pa.string(), "label": pa.int64(), "caption": pa.string()}
)


def index_corpus(corpus: Corpus, out_dir: Path) -> None:
    """Read every shard, decode every sample, and write `index.parquet` and `manifest.json`.

    The manifest has the classes and, per split, each shard's name, number of samples and SHA-256.

    Raises
    ------
    UserError
        If a shard is damaged or is not the one that `info.json` lists, a sample lacks its image, label or caption, or
        a key occurs twice.
    """
    rows = list(_rows(corpus))
    _require_unique(rows)
    _require_listed_content(corpus)
    columns = {name: [row[name] for row in rows] for name in INDEX_SCHEMA.names}
    write_parquet(out_dir / "index.parquet", columns, INDEX_SCHEMA)
    write_json(out_dir / "manifest.json", _manifest(corpus, rows, out_dir / "index.parquet"))


def _rows(corpus: Corpus) -> Iterator[dict[str, Any]]:
    total = sum(map(len, corpus.shards.values()))
    progress = Progress(f"index {corpus.name}", total, unit="shards")
    for split, shards in corpus.shards.items():
        for shard in shards:
            for sample in read_samples([shard]):
                decode_image(sample)
                yield {
                    "split": split,
                    "shard": shard.name,
                    "key": sample["__key__"],
                    "label": decode_label(sample, len(corpus.class_names)),
                    "caption": decode_caption(sample),
                }
            progress.advance()


def _require_listed_content(corpus: Corpus) -> None:
    listed = listed_shards(corpus.path)
    for shard in (shard for shards in corpus.shards.values() for shard in shards):
        if shard.name in listed and sha256_file(shard) != listed[shard.name]:
            raise UserError(
                f"the shard {shard} is whole, but is not the one whose SHA-256 {corpus.path / 'info.json'} lists. "
                "Restore the shard, or update the list if the change is meant."
            )


def _require_unique(rows: list[dict[str, Any]]) -> None:
    shard_of: dict[str, str] = {}
    for row in rows:
        if row["key"] in shard_of:
            raise UserError(
                f"the key '{row['key']}' occurs twice in the corpus, in shard {shard_of[row['key']]} and in shard "
                f"{row['shard']}. Keys must be unique, since noise goes by them. Rename or remove one of the samples."
            )
        shard_of[row["key"]] = row["shard"]


def _manifest(corpus: Corpus, rows: list[dict[str, Any]], index: Path) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["shard"]] = counts.get(row["shard"], 0) + 1
    splits = {
        split: [
            {"shard": shard.name, "samples": counts.get(shard.name, 0), "sha256": sha256_file(shard)}
            for shard in shards
        ]
        for split, shards in corpus.shards.items()
    }
    return {"corpus": corpus.name, "classes": corpus.class_names, "splits": splits, "index_sha256": sha256_file(index)}
