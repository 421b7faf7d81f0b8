"""Seeds and hashes depend on names alone."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from nml.seeds import derive_seed, hash_keys

KNOWN_SEED = 6864491482105375579


def test_known_answers() -> None:
    assert derive_seed("emoji/resnet-mini/clean/s0", "epoch", 3) == KNOWN_SEED
    assert hash_keys(["a", "ä"], salt="x").tolist() == [
        int.from_bytes(hashlib.blake2b(b"x\0" + key.encode(), digest_size=8).digest(), "little") for key in ("a", "ä")
    ]


@given(st.lists(st.text(), max_size=4))
def test_a_seed_fits_every_generator(parts: list[str]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63


@given(st.lists(st.text(max_size=4), min_size=1, max_size=20), st.text(max_size=4))
def test_the_hash_of_a_key_does_not_depend_on_the_other_keys(keys: list[str], salt: str) -> None:
    hashes = hash_keys(keys, salt)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [hash_keys([key], salt)[0] for key in keys]


def test_seeds_of_different_parts_differ() -> None:
    seeds = [derive_seed("cell", number) for number in range(1000)]
    assert len(set(seeds)) == 1000


def test_hashes_are_uniform_and_independent_between_salts() -> None:
    keys = [f"key-{number}" for number in range(5000)]
    first, second = (hash_keys(keys, salt) / 2.0**64 for salt in ("one", "two"))
    assert kstest(first, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_no_keys_give_no_hashes() -> None:
    assert hash_keys([], salt="x").tolist() == []
