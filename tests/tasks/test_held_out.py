"""Validation samples are a fixed tenth of every class of the training part."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nml.tasks.held_out import held_out


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_a_tenth_of_every_class_whatever_the_order(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.asarray([f"sample{number}" for number in range(len(labels))])
    mask = held_out(keys.tolist(), labels, "task")
    for label, size in enumerate(sizes):
        wanted = 0 if size == 1 else max(1, round(0.1 * size))
        assert mask[labels == label].sum() == wanted
    order = np.random.default_rng(seed).permutation(len(labels))
    assert np.array_equal(held_out(keys[order].tolist(), labels[order], "task"), mask[order])


def test_tasks_hold_out_different_samples() -> None:
    keys, labels = [str(number) for number in range(500)], np.zeros(500, dtype=np.int64)
    assert (held_out(keys, labels, "a") != held_out(keys, labels, "b")).any()
