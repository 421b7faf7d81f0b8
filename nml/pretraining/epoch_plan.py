"""Who reads which samples in an epoch: every sample once, whatever the number of ranks and loader workers.

The shards of an epoch, in its order, are one long row of samples. Each reader, a worker of a rank, gets a stretch of
that row as long as the batches that it is to make; a stretch may begin in the middle of a shard. So there may be more
readers than shards, ranks take the same number of steps, and none waits for samples that another one has.

Class folders are shards of one class each: of them the row has all images in a new order, as if of one long shard.

With repeated augmentation an epoch keeps its number of samples, drawn from as many times fewer: the front of the row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Stretch:
    """The samples `start` to `stop`, without the last, of the shard at `place` in the epoch's order."""

    place: int
    start: int
    stop: int


def even_batches(samples: int, batch_size: int) -> list[int]:
    """Split an epoch into the fewest batches of at most `batch_size`, as equal in size as can be.

    A short last batch would weigh its samples more than the others and may be too small to normalise.
    """
    steps = -(-samples // batch_size)
    return [samples // steps + (step < samples % steps) for step in range(steps)]


def repeated(samples: Iterable[Sample], repeats: int) -> Iterator[tuple[Sample, int]]:
    """Yield each sample `repeats` times in a row, with the number of the view (repeated augmentation)."""
    return ((sample, view) for sample in samples for view in range(repeats))


def share_of(size: int, rank: int, ranks: int) -> int:
    """Return how many samples of a batch are a rank's; they differ by one at most."""
    return size // ranks + (rank < size % ranks)


def steps_of(worker: int, workers: int, steps: int) -> range:
    """Return the steps whose batches a worker makes: the workers of a rank take turns."""
    return range(worker, steps, workers)


def stretches(
    shard_samples: list[int], sizes: list[int], rank: int, ranks: int, worker: int, workers: int, repeats: int = 1
) -> list[Stretch]:
    """Return what one reader reads, in its order.

    Parameters
    ----------
    shard_samples : samples of each shard, in the epoch's order; their sum is that of `sizes`
    sizes : samples of each global batch
    rank, ranks : the process and how many there are
    worker, workers : the loader's worker in that process and how many there are
    repeats : how often a reader gives each of its samples, so that it reads as many times fewer
    """
    counts = [
        -(-sum(share_of(sizes[step], r, ranks) for step in steps_of(w, workers, len(sizes))) // repeats)
        for r in range(ranks)
        for w in range(workers)
    ]
    ends = list(accumulate(counts))
    number = rank * workers + worker
    return _cut(shard_samples, ends[number] - counts[number], ends[number])


def _cut(shard_samples: list[int], first: int, last: int) -> list[Stretch]:
    """Return the parts of shards that hold the samples `first` to `last` of the row."""
    found, begin = [], 0
    for place, samples in enumerate(shard_samples):
        start, stop = max(first - begin, 0), min(last - begin, samples)
        if start < stop:
            found.append(Stretch(place, start, stop))
        begin += samples
    return found
