"""Compare reading with an overlay to reading clean, and materialising to `cp`: `python benchmarks/noisy_shards.py`.

Shards of ImageNet's size (1,251 samples of 110 kB, random bytes in place of images, which nothing here decodes) are
written into `build/benchmarks`, with 20 % swapped captions. Each pair alternates, so that what the machine does besides
hits both. Reading is from the page cache, where the disk hides nothing, in processor seconds; copying is from disk to
disk, with `sync`, in seconds of the clock.
"""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from webdataset import TarWriter

from nml.artifacts import atomic_path
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.index import index_corpus
from nml.corpora.shards import read_samples
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise
from nml.noise.noisy_samples import read_noisy_samples

FOLDER = Path("build/benchmarks/shards")
SHARDS, SAMPLES, IMAGE_BYTES = 6, 1251, 110_000
ROUNDS = 15


def write_shards() -> Corpus:
    """Write the shards, unless they are there."""
    random = np.random.default_rng(0)
    shards = [Shard(path.name, path) for number in range(SHARDS) for path in [FOLDER / "clean" / f"{number:05d}.tar"]]
    for number, shard in enumerate(shards):
        if shard.path.is_file():
            continue
        with atomic_path(shard.path) as temporary, TarWriter(str(temporary)) as tar:
            for sample in range(SAMPLES):
                key = f"{number:05d}{sample:04d}"
                image = random.bytes(int(random.integers(IMAGE_BYTES // 2, 3 * IMAGE_BYTES // 2)))
                tar.write({"__key__": key, "jpg": image, "txt": f"the caption of {key}"})
    return Corpus("benchmark", {"train": shards, "validation": []}, [], [], ("captions",))


def compare(name: str, first: Callable[[], float], second: Callable[[], float]) -> None:
    """Call two functions that return seconds in turn; print the medians and the median of the rounds' ratios."""
    seconds = [[first(), second()] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    ratios = sorted(b / a for a, b in seconds)
    print(f"{name:34} {medians[0]:7.3f} s {medians[1]:7.3f} s   x {statistics.median(ratios):.3f}", end="")
    print(f"   ({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)


def timed(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that a call takes."""
    started = clock()
    function()
    return clock() - started


def from_disk(corpus: Corpus, copy: Callable[[], object], out_dir: Path) -> Callable[[], float]:
    """Return a function that copies the shards from disk to disk, and returns the seconds."""

    def seconds() -> float:
        shutil.rmtree(out_dir, ignore_errors=True)
        os.sync()
        for shard in corpus.shards["train"]:
            with shard.path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return timed(lambda: (copy(), os.sync()))

    return seconds


def copy_by_cp(corpus: Corpus, out_dir: Path) -> None:
    """Copy the shards with coreutils."""
    out_dir.mkdir()
    subprocess.run(["cp", *(str(shard.path) for shard in corpus.shards["train"]), str(out_dir)], check=True)


def main() -> None:
    """Write what is read, then compare."""
    corpus = write_shards()
    shards = corpus.shards["train"]
    index_corpus(corpus, FOLDER / "index")
    inject_noise(FOLDER / "index", Noise("swap", 20), 0, FOLDER / "noise")
    paths = [shard.path for shard in shards]
    read = sum(path.stat().st_size for path in paths)
    print(f"{len(shards)} shards, {SHARDS * SAMPLES:,} samples, {read / 1e9:.2f} GB, {ROUNDS} rounds")
    compare(
        "reading: clean, with the overlay",
        lambda: timed(lambda: sum(1 for _ in read_samples(paths)), time.process_time),
        lambda: timed(lambda: sum(1 for _ in read_noisy_samples(shards, FOLDER / "noise")), time.process_time),
    )
    by_cp, noisy = FOLDER / "cp", FOLDER / "noisy"
    compare(
        "copying: cp, materialise",
        from_disk(corpus, lambda: copy_by_cp(corpus, by_cp), by_cp),
        from_disk(corpus, lambda: materialise(corpus, FOLDER / "noise", noisy), noisy),
    )


if __name__ == "__main__":
    main()
