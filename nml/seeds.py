"""Seeds and orderings that depend on names alone, so that every machine draws the same."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**63) that is a hash of the parts, such as a cell's address and a counter."""
    return int(hash_keys(["\0".join(map(str, parts))], salt="seed")[0] >> np.uint64(1))


def hash_keys(keys: Iterable[str], salt: str) -> np.ndarray:
    """Return one uint64 per key, uniform and independent between salts (BLAKE2b, keyed by the salt).

    The keys may be a chunked Arrow array: fifteen million of them as Python strings would fill a gigabyte.
    """
    base = hashlib.blake2b(salt.encode(), digest_size=8)
    digests = bytearray()
    for key in _strings(keys):
        state = base.copy()
        state.update(b"\0" + key.encode())
        digests += state.digest()
    return np.frombuffer(bytes(digests), dtype="<u8")


def _strings(keys: Iterable[str]) -> Iterator[str]:
    if not hasattr(keys, "iterchunks"):
        yield from keys
        return
    for chunk in keys.iterchunks():
        yield from chunk.to_pylist()
