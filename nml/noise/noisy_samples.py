"""Reading shards with the noise laid over them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.corpora.catalogue import Shard
from nml.corpora.shards import read_range
from nml.noise.overlay import read_overlay


def read_noisy_samples(shards: Iterable[Shard], noise_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the raw samples of shards in order; one that the noise changes has a `noisy`, such as `{"label": 3}`.

    Raises
    ------
    UserError
        As `read_samples` and `read_overlay` do.
    """
    digests = read_json(noise_dir / "manifest.json")["overlay"]
    for shard in shards:
        yield from read_noisy_range(shard, noise_dir, digests[shard.name])


def read_noisy_range(
    shard: Shard, noise_dir: Path, sha256: str, start: int = 0, stop: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the raw samples `start` to `stop` of one shard, as `read_noisy_samples` does; `sha256` is its overlay's."""
    changes = read_overlay(noise_dir, shard.name, sha256)
    for sample in read_range(shard.path, start, stop):
        change = changes.get(shard.prefix + sample["__key__"])
        yield sample | {"noisy": change} if change else sample
