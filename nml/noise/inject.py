"""From a corpus index to an overlay: only what the noise changed, laid out by shard, with a manifest."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

import nml.noise
from nml.artifacts import read_json, sha256_file, write_json, write_parquet
from nml.grid import Noise
from nml.plugins import noise_kinds

# Raise it when a change of a noise kind's definition changes what is corrupted.
DEFINITION = 1


def inject_noise(corpus_dir: Path, noise: Noise, seed: int, out_dir: Path) -> dict[str, Any]:
    """Write `overlay/<shard>.parquet` (key, and the noisy label or caption) and `manifest.json`; return the latter.

    Parameters
    ----------
    corpus_dir : folder with the corpus' `index.parquet` and `manifest.json`
    noise : kind and percent; clean gives an overlay without rows
    seed : seed of the noise
    out_dir : `results/noise/<corpus>/<noise>`
    """
    corpus = read_json(corpus_dir / "manifest.json")
    index = pq.ParquetFile(corpus_dir / "index.parquet").read()
    train = index.filter(pc.equal(index["split"], "train"))
    columns = {name: np.asarray(train[name].to_pylist(), dtype=object) for name in ("shard", "key", "label", "caption")}
    noisy = corrupt(columns, len(corpus["classes"]), noise, seed)
    shards = [entry["shard"] for entry in corpus["splits"]["train"]]
    files = _write_overlay(columns, noisy, shards, out_dir / "overlay")
    manifest = _manifest(corpus, columns, noisy, noise, seed) | {"overlay": files}
    write_json(out_dir / "manifest.json", manifest)
    return manifest


def corrupt(columns: dict[str, np.ndarray], num_classes: int, noise: Noise, seed: int) -> dict[str, np.ndarray]:
    """Return the supervision column that the noise changes, by its name, after the change; clean changes none."""
    if not noise.percent:
        return {}
    ratio, keys, kind = noise.percent / 100, columns["key"].tolist(), getattr(nml.noise, noise.kind.replace("-", "_"))
    if noise_kinds()[noise.kind]["CORRUPTS"] == "labels":
        return {"label": kind(columns["label"].astype(np.int64), keys, num_classes, ratio, seed)}
    captions = columns["caption"]
    return {"caption": captions[kind(keys, ratio, seed, captions=captions.tolist())]}


def _write_overlay(
    columns: dict[str, np.ndarray], noisy: dict[str, np.ndarray], shards: list[str], out_dir: Path
) -> dict[str, str]:
    """Write one file a shard; return the SHA-256 of each by its shard."""
    digests = {}
    for shard in shards:
        rows = columns["shard"] == shard
        for name, values in noisy.items():
            rows &= values != columns[name]
        rows &= bool(noisy)
        path = out_dir / f"{shard}.parquet"
        write_parquet(path, {"key": columns["key"][rows]} | {name: values[rows] for name, values in noisy.items()})
        digests[shard] = sha256_file(path)
    return digests


def _manifest(
    corpus: dict[str, Any], columns: dict[str, np.ndarray], noisy: dict[str, np.ndarray], noise: Noise, seed: int
) -> dict[str, Any]:
    total = len(columns["key"])
    changed = np.zeros(total, dtype=bool)
    for name, values in noisy.items():
        changed |= values != columns[name]
    labels = columns["label"].astype(np.int64)
    per_class = np.bincount(labels[changed], minlength=len(corpus["classes"])) / np.maximum(
        np.bincount(labels, minlength=len(corpus["classes"])), 1
    )
    return {
        "corpus": corpus["corpus"],
        "noise": str(noise),
        "kind": noise.kind,
        "nominal_percent": noise.percent,
        "realised_percent": round(100 * float(changed.mean()), 6),
        "samples": total,
        "changed": int(changed.sum()),
        "seed": seed,
        "definition": DEFINITION,
        "corpus_index_sha256": corpus["index_sha256"],
        "shards": {entry["shard"]: entry["sha256"] for entry in corpus["splits"]["train"]},
        "realised_percent_per_class": dict(zip(corpus["classes"], (100 * per_class).round(4).tolist(), strict=True)),
    }
