"""From a corpus index to an overlay: only what the noise changed, laid out by shard, with a manifest."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import nml.noise
from nml.artifacts import full_disk_named, read_json, sha256_file, write_json, write_parquet
from nml.errors import UserError
from nml.grid import Noise
from nml.noise.columns import take
from nml.plugins import noise_kinds
from nml.progress import Progress


def inject_noise(
    corpus_dir: Path,
    noise: Noise,
    seed: int,
    out_dir: Path,
    groups: list[str] | None = None,
    percent_of: str = "corpus",
) -> dict[str, Any]:
    """Write `overlay/<shard>.parquet`, `transitions.parquet` and `manifest.json`; return the manifest.

    An overlay has the key, the offset and the noisy label or caption of each changed sample. The transitions count the
    changed samples by their own class and the class that the noise made of them.

    Parameters
    ----------
    corpus_dir : folder with the corpus' `index.parquet` and `manifest.json`
    noise : kind and percent; clean gives an overlay without rows
    seed : seed of the noise
    out_dir : `results/noise/<corpus>/<noise>`
    groups : for kinds that work inside groups of classes, the group of each class; an empty name is no group
    percent_of : for these kinds, what the percent is a share of: `corpus` or `group`

    Raises
    ------
    UserError
        If this noise cannot be done to this corpus, or the disk is full.
    """
    with full_disk_named(out_dir):
        return _inject(corpus_dir, noise, seed, out_dir, groups, percent_of)


def _inject(
    corpus_dir: Path, noise: Noise, seed: int, out_dir: Path, groups: list[str] | None, percent_of: str
) -> dict[str, Any]:
    corpus = read_json(corpus_dir / "manifest.json")
    train = _training_rows(corpus_dir / "index.parquet", noise)
    try:
        rows, changes, noisy_labels = corrupt(train, len(corpus["classes"]), noise, seed, groups, percent_of)
    except ValueError as error:
        raise UserError(f"noise '{noise}' cannot be done to corpus '{corpus['corpus']}': {error}") from error
    shards = list(corpus["splits"]["train"])
    files = _write_overlay(take(train["shard"], rows), changes, shards, out_dir / "overlay")
    labels = take(train["label"], rows)
    transitions = out_dir / "transitions.parquet"
    _write_transitions(labels, noisy_labels, transitions)
    manifest = {
        "corpus": corpus["corpus"],
        "noise": str(noise),
        "kind": noise.kind,
        "nominal_percent": noise.percent,
        "realised_percent": round(100 * len(rows) / len(train), 6),
        "samples": len(train),
        "changed": len(rows),
        "seed": seed,
        "definition": noise_kinds()[noise.kind]["DEFINITION"] if noise.percent else None,
        "corpus_manifest_sha256": sha256_file(corpus_dir / "manifest.json"),
        # The clean shards that the noise was made for.
        "shards": corpus["splits"]["train"],
        # In the order of the classes: two classes may have one name, as the cranes of ImageNet-1K have.
        "realised_percent_per_class": _percent_per_class(train["label"], labels, len(corpus["classes"])),
        "transitions_sha256": sha256_file(transitions),
        "overlay": files,
    }
    if _grouped(noise):
        manifest["percent_of"] = percent_of
    write_json(out_dir / "manifest.json", manifest)
    return manifest


def corrupt(
    train: pa.Table, num_classes: int, noise: Noise, seed: int, groups: list[str] | None, percent_of: str
) -> tuple[np.ndarray, pa.Table, pa.ChunkedArray]:
    """Return which training samples change, and to what.

    Returns
    -------
    int64 [n], ascending
        The rows of `train` that change.
    Table [n]
        `key`, `offset`, and the noisy `label` or `caption`; clean has no rows, and neither of these two.
    int64 array [n]
        The noisy label, or the label of the sample that the noisy caption belongs to.
    """
    if not noise.percent:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, train.select(["key", "offset"]).take(nothing), train["label"].take(nothing)
    corrupts = noise_kinds()[noise.kind]["CORRUPTS"]
    if train[corrupts.removesuffix("s")].null_count:
        raise ValueError(f"its samples have no {corrupts}")
    if corrupts == "labels":
        noisy = _noisy_labels(train, num_classes, noise, seed, groups, percent_of)
        rows = np.flatnonzero(noisy != train["label"].to_numpy())
        noisy_labels = pa.chunked_array([noisy[rows]])
        return rows, _changes(train, rows, "label", noisy_labels), noisy_labels
    captions = train["caption"]
    source = _function(noise)(train["key"], noise.percent / 100, seed, captions=captions)
    moved = np.flatnonzero(source != np.arange(len(train)))
    noisy = take(captions, source[moved])
    differs = pc.not_equal(take(captions, moved), noisy)
    rows = moved[differs.to_numpy()]
    return rows, _changes(train, rows, "caption", noisy.filter(differs)), take(train["label"], source[rows])


def _function(noise: Noise) -> Any:
    return getattr(nml.noise, noise.kind.replace("-", "_"))


def _grouped(noise: Noise) -> bool:
    return bool(noise.percent) and noise_kinds()[noise.kind].get("GROUPS", False)


def _noisy_labels(
    train: pa.Table, num_classes: int, noise: Noise, seed: int, groups: list[str] | None, percent_of: str
) -> np.ndarray:
    labels, keys, ratio = train["label"].to_numpy(), train["key"], noise.percent / 100
    if not _grouped(noise):
        return _function(noise)(labels, keys, num_classes, ratio, seed)
    if groups is None:
        raise ValueError(f"no groups of classes are given for '{noise.kind}'")
    return _function(noise)(labels, keys, groups, ratio, seed, percent_of)


def _changes(train: pa.Table, rows: np.ndarray, name: str, values: pa.ChunkedArray) -> pa.Table:
    return pa.table({**{column: take(train[column], rows) for column in ("key", "offset")}, name: values})


def _training_rows(index: Path, noise: Noise) -> pa.Table:
    """Return shard, key, offset, label, and caption if it is to change, of the training samples, shard by shard."""
    captions = noise.percent and noise_kinds()[noise.kind]["CORRUPTS"] == "captions"
    columns = ["shard", "key", "offset", "label", *(["caption"] if captions else [])]
    return pq.read_table(index, columns=columns, filters=[("split", "=", "train")], read_dictionary=["shard"])


def _write_overlay(owners: pa.ChunkedArray, changes: pa.Table, shards: list[str], out_dir: Path) -> dict[str, str]:
    """Write one file a shard; return the SHA-256 of each by its shard. The rows (`owners`: shards) lie together."""
    bounds = _bounds(owners)
    progress, digests = Progress(f"overlay {out_dir.parent.name}", len(shards), unit="shards"), {}
    for shard in shards:
        start, stop = bounds.get(shard, (0, 0))
        path = out_dir / f"{shard}.parquet"
        part = changes.slice(start, stop - start)
        write_parquet(path, {name: part[name] for name in part.column_names})
        digests[shard] = sha256_file(path)
        progress.advance()
    return digests


def _bounds(owners: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """Return the first row of each value of a column whose equal values lie together, and the row after its last."""
    if not len(owners):
        return {}
    values = owners.combine_chunks().dictionary_encode()
    codes = values.indices.to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    names = [values.dictionary[int(codes[start])].as_py() for start in starts]
    return dict(zip(names, zip(starts, [*starts[1:], len(codes)], strict=True), strict=True))


def _write_transitions(labels: pa.ChunkedArray, noisy_labels: pa.ChunkedArray, path: Path) -> None:
    """Count the changed samples by their own and their noisy class; none where a corpus has no classes."""
    known = pa.table({"label": labels, "noisy_label": noisy_labels}).drop_null()
    counts = known.group_by(["label", "noisy_label"]).aggregate([([], "count_all")])
    counts = counts.rename_columns(["label", "noisy_label", "samples"]).sort_by(
        [("label", "ascending"), ("noisy_label", "ascending")]
    )
    write_parquet(path, {name: counts[name] for name in counts.column_names})


def _percent_per_class(labels: pa.ChunkedArray, changed: pa.ChunkedArray, classes: int) -> list[float]:
    sizes, wrong = (np.bincount(column.drop_null().to_numpy(), minlength=classes) for column in (labels, changed))
    return (100 * wrong / np.maximum(sizes, 1)).round(4).tolist()
