"""Time the injection of one noise ratio on synthetic indexes of the real sizes: `python benchmarks/noise.py`.

ImageNet-1K (1.28 M labels in 1,024 shards), YFCC15M (15 M captions in 1,500 shards) and its pool with CC12M; no
images. Each case runs in a process of its own, so that its peak memory is its own. The indexes are written once, into
`build/benchmarks`. `python benchmarks/noise.py swap-20` runs one case.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nml.artifacts import atomic_path, sha256_file, write_json
from nml.grid import Noise
from nml.noise.inject import inject_noise

FOLDER = Path("build/benchmarks")
CASES = {
    "symmetric-20": ("labels", 1_281_167, 1024),
    "class-prior-20": ("labels", 1_281_167, 1024),
    "asymmetric-5": ("labels", 1_281_167, 1024),
    "hierarchical-20": ("labels", 1_281_167, 1024),
    "swap-20": ("captions", 15_000_000, 1500),
    "swap-released-20": ("captions", 15_000_000, 1500),
    "swap-20 of the pool": ("captions", 26_400_000, 3700),
}
GROUPS = {"asymmetric": ["overlap"] * 200 + [""] * 800, "hierarchical": [str(label // 3) for label in range(1000)]}
ROWS_AT_ONCE = 500_000
# Captions have a mean of 14 of these, 110 bytes.
WORDS = np.array([f"word{number}" for number in range(4096)], dtype=object)


def write_index(supervision: str, samples: int, shards: int) -> Path:
    """Write the index and the manifest of a synthetic corpus, unless they are there; return their folder."""
    folder = FOLDER / f"{supervision}-{samples}"
    if (folder / "manifest.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        {
            "split": pa.string(),
            "shard": pa.string(),
            "key": pa.string(),
            "label": pa.int64(),
            "caption": pa.large_string(),
            "offset": pa.int64(),
        }
    )
    with atomic_path(folder / "index.parquet") as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, samples, ROWS_AT_ONCE):
            writer.write_table(
                pa.table(_rows(supervision, start, min(start + ROWS_AT_ONCE, samples), samples, shards), schema)
            )
    facts = {"samples": samples // shards, "bytes": 0, "modified": 0, "sha256": ""}
    train = {_shard(number): facts for number in range(shards)}
    manifest = {"corpus": folder.name, "classes": [str(label) for label in range(1000)], "splits": {"train": train}}
    write_json(folder / "manifest.json", manifest | {"index_sha256": sha256_file(folder / "index.parquet")})
    return folder


def _rows(supervision: str, start: int, stop: int, samples: int, shards: int) -> dict[str, list]:
    random = np.random.default_rng(start)
    count = stop - start
    rows = {
        "split": ["train"] * count,
        "shard": [_shard(row * shards // samples) for row in range(start, stop)],
        "key": [f"{row:09d}" for row in range(start, stop)],
        "offset": list(range(start, stop)),
    }
    if supervision == "labels":
        return rows | {"label": random.integers(0, 1000, count).tolist(), "caption": [None] * count}
    # A square makes short captions frequent, so that thousands of them are equal.
    lengths = (1 + 40 * random.random(count) ** 2).astype(int)
    words = WORDS[random.integers(0, len(WORDS), (count, 41))]
    captions = [" ".join(row[:length]) for row, length in zip(words, lengths, strict=True)]
    return rows | {"label": [None] * count, "caption": captions}


def _shard(number: int) -> str:
    return f"{number:05d}.tar"


def run(case: str) -> None:
    """Inject one noise and print its seconds, peak memory and how many rows changed."""
    supervision, samples, shards = CASES[case]
    corpus = write_index(supervision, samples, shards)
    started = time.perf_counter()
    noise = Noise.parse(case.partition(" ")[0])
    manifest = inject_noise(corpus, noise, 0, FOLDER / "noise" / case.replace(" ", "-"), GROUPS.get(noise.kind))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{case:20} {samples:11,} {seconds:8.1f} s {peak:6.2f} GiB {manifest['changed']:10,} changed", flush=True)


def main() -> None:
    """Run every case in its own process."""
    for supervision, samples, shards in dict.fromkeys(CASES.values()):
        write_index(supervision, samples, shards)
    print("noise                    samples     time      peak")
    for case in CASES:
        subprocess.run([sys.executable, __file__, case], check=True)


if __name__ == "__main__":
    run(sys.argv[1]) if len(sys.argv) > 1 else main()
