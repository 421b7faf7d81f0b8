"""Reading shards with the noise laid over them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.corpora.catalogue import Shard
from nml.corpora.content import IMAGE_SUFFIXES, class_folders
from nml.corpora.shards import read_range, unread_images
from nml.corpora.verify import require_unchanged
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
        yield _with_noise(sample, changes.get(shard.prefix + sample["__key__"]))


def read_noisy_images(
    folders: Sequence[Shard], noise_dir: Path, manifest: Mapping[str, Any], places: Sequence[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    """Yield the raw samples at some places of class folders, as `read_noisy_samples` does.

    Parameters
    ----------
    folders : the shards, each the folder of a class; each is listed once, before the first sample is read
    noise_dir : `results/noise/<corpus>/<noise>`
    manifest : the `manifest.json` there
    places : in the order to be read, the number of a sample's folder, and its own number there; none twice

    Raises
    ------
    UserError
        If a folder has another number of images than when it was indexed; and as `read_noisy_samples` does.
    """
    found, folders_in = {}, cache(class_folders)
    for number, own in groupby(sorted(places), key=itemgetter(0)):
        folder = folders[number]
        images = unread_images(folder.path, IMAGE_SUFFIXES, folders_in)
        if len(images) != manifest["shards"][folder.name]["samples"]:
            require_unchanged([folder], {folder.name: manifest["shards"][folder.name]})
        changes = read_overlay(noise_dir, folder.name, manifest["overlay"][folder.name])
        for place in own:
            key, read = images[place[1]]
            found[place] = read, changes.get(folder.prefix + key)
    for place in places:
        read, change = found.pop(place)
        yield _with_noise(read(), change)


def _with_noise(sample: dict[str, Any], change: dict[str, Any] | None) -> dict[str, Any]:
    return sample | {"noisy": change} if change else sample
