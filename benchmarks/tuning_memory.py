"""Measure what tuning a task of 300,000 x 2,048 features takes of the host's memory, and how long.

Run `OMP_NUM_THREADS=1 python benchmarks/tuning_memory.py FOLDER`, where FOLDER has 3 GB free. The features are random
and written piece by piece; then another process maps them and fits heads for an epoch. The peak counts the mapped
pages, which the system may drop.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from nml.features.store import map_arrays
from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec

ROWS, WIDTH, CLASSES = 300_000, 2048, 100


def write(path: Path) -> None:
    """Write the features of a training split as safetensors."""
    entry = {"dtype": "F32", "shape": [ROWS, WIDTH], "data_offsets": [0, 4 * ROWS * WIDTH]}
    header = json.dumps({"train": entry}).encode()
    header += b" " * (-len(header) % 8)
    random = np.random.default_rng(0)
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(0, ROWS, 10_000):
            random.standard_normal((10_000, WIDTH), dtype=np.float32).tofile(file)


def tune(path: Path) -> None:
    """Fit heads on the mapped features, and print what that took."""
    features, started = map_arrays(path)["train"], time.perf_counter()
    labels = np.arange(ROWS) % CLASSES
    specs = [HeadSpec("lp", seed, 0.01, 0.0, 1, 64) for seed in range(3)]
    specs += [HeadSpec(method, 0, 0.001, 0.0, 1, 64, fraction=10) for method in ("mlp", "nmtune")]
    tenth = {10: np.arange(0, ROWS, 10)}
    fit(features, labels, features[:2000], labels[:2000], CLASSES, specs, subsets=tenth)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{ROWS} x {WIDTH}: {features.nbytes / 2**30:.2f} GiB of features, peak {peak:.2f} GiB, ", end="")
    print(f"{time.perf_counter() - started:.0f} s for an epoch of 3 LP heads, and of MLP and NMTune on a tenth")


def main() -> None:
    """Write the features, fit in another process, and delete them."""
    path = Path(sys.argv[1]) / "tuning-memory.safetensors"
    if sys.argv[2:] == ["tune"]:
        return tune(path)
    try:
        write(path)
        subprocess.run([sys.executable, __file__, sys.argv[1], "tune"], check=True)
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
