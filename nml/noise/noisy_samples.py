"""Reading shards with the noise laid over them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.corpora.catalogue import Shard
from nml.corpora.shards import read_samples
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
        changes = read_overlay(noise_dir, shard.name, digests[shard.name])
        for sample in read_samples([shard.path]):
            change = changes.get(shard.prefix + sample["__key__"])
            yield sample | {"noisy": change} if change else sample
