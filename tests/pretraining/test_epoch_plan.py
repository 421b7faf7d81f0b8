"""Every sample is read once in an epoch, and every rank gets its share of every batch."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from timm.data.distributed_sampler import RepeatAugSampler

from nml.pretraining.epoch_plan import even_batches, repeated, share_of, steps_of, stretches

SHARDS = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda counts: sum(counts) > 0)
READERS = st.integers(1, 5)


@given(st.integers(1, 5000), st.integers(2, 300))
def test_even_batches_cover_the_epoch_and_differ_by_one_at_most(samples: int, batch_size: int) -> None:
    sizes = even_batches(samples, batch_size)
    assert sum(sizes) == samples
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-samples // batch_size)


@given(SHARDS, st.integers(1, 20), READERS, READERS)
def test_all_readers_together_read_every_sample_once(counts: list[int], size: int, ranks: int, workers: int) -> None:
    sizes = even_batches(sum(counts), size)
    read = [
        (part.place, sample)
        for rank in range(ranks)
        for worker in range(workers)
        for part in stretches(counts, sizes, rank, ranks, worker, workers)
        for sample in range(part.start, part.stop)
    ]
    assert len(read) == len(set(read))
    assert set(read) == {(place, sample) for place, samples in enumerate(counts) for sample in range(samples)}


@given(SHARDS, st.integers(1, 20), READERS, READERS)
def test_a_reader_has_what_its_batches_need(counts: list[int], size: int, ranks: int, workers: int) -> None:
    sizes = even_batches(sum(counts), size)
    for rank in range(ranks):
        for worker in range(workers):
            needed = sum(share_of(sizes[step], rank, ranks) for step in steps_of(worker, workers, len(sizes)))
            parts = stretches(counts, sizes, rank, ranks, worker, workers)
            assert sum(part.stop - part.start for part in parts) == needed


@given(SHARDS, st.integers(1, 20), READERS, READERS, st.integers(1, 4))
def test_with_repeats_an_epoch_is_as_long_and_reads_as_many_times_fewer(
    counts: list[int], size: int, ranks: int, workers: int, repeats: int
) -> None:
    sizes = even_batches(sum(counts), size)
    read = []
    for rank in range(ranks):
        for worker in range(workers):
            needed = sum(share_of(sizes[step], rank, ranks) for step in steps_of(worker, workers, len(sizes)))
            parts = stretches(counts, sizes, rank, ranks, worker, workers, repeats)
            own = [(part.place, sample) for part in parts for sample in range(part.start, part.stop)]
            assert needed <= len(list(repeated(own, repeats))) < needed + repeats
            read += own
    assert len(read) == len(set(read))
    assert len(read) <= sum(counts) / repeats + ranks * workers


def test_repeats_are_those_of_timms_sampler() -> None:
    sampler = RepeatAugSampler(range(10), num_replicas=1, rank=0, shuffle=False, num_repeats=3, selected_round=0)
    assert list(islice(repeated(range(10), 3), 10)) == list(sampler)


@given(st.integers(0, 500), READERS)
def test_the_ranks_share_a_batch_evenly(size: int, ranks: int) -> None:
    shares = [share_of(size, rank, ranks) for rank in range(ranks)]
    assert sum(shares) == size
    assert max(shares) - min(shares) <= 1
