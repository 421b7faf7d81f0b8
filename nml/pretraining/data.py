"""Streams of training samples: shards in a fresh order each epoch, with the noise overlay laid over them."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from torch.utils.data import DataLoader, IterableDataset

from nml.artifacts import read_json
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import decode_caption, decode_image, decode_label, read_samples
from nml.corpora.verify import require_unchanged
from nml.errors import UserError
from nml.noise.noisy_samples import read_noisy_range, read_noisy_samples
from nml.pretraining.epoch_plan import repeated, share_of, steps_of, stretches
from nml.pretraining.images import stack_images
from nml.pretraining.world import ALONE, World
from nml.seeds import derive_seed

# Encoded samples held for shuffling by all workers of a process together: half a gigabyte of photographs.
SHUFFLE_BUFFER = 5000
# A corpus whose decoded images take no more than this is read and decoded once.
HELD_BYTES = 2**28

Decoded = tuple[np.ndarray, Any]
Batch = tuple[torch.Tensor, list[Any]]


class TrainingData:
    """The training samples of a corpus under a noise overlay, in a fresh order each epoch, every sample once.

    Parameters
    ----------
    corpus : the clean shards
    noise_dir : folder of the overlay that replaces the noisy labels or captions
    target : `label` or `caption`
    workers : processes that read and decode a corpus too large to hold; with none, this one does
    repeats : how often an epoch has each of the samples that it draws; it draws as many times fewer

    Raises
    ------
    UserError
        If a shard changed since it was indexed.
    """

    def __init__(self, corpus: Corpus, noise_dir: Path, target: str, workers: int = 0, repeats: int = 1) -> None:
        self.repeats = repeats
        self.corpus, self.noise_dir, self.target, self.workers = corpus, noise_dir, target, workers
        manifest = read_json(noise_dir / "manifest.json")
        self.samples: int = manifest["samples"]
        self.overlays: dict[str, str] = manifest["overlay"]
        self.shard_samples = {name: facts["samples"] for name, facts in manifest["shards"].items()}
        require_unchanged(corpus.shards["train"], manifest["shards"])
        self.held = self._hold()

    def batches(self, sizes: list[int], seed: int, world: World = ALONE, first_step: int = 0) -> Iterator[Batch]:
        """Yield this process' part of each batch of an epoch: images [b, 3, H, W] and b targets.

        Parameters
        ----------
        sizes : samples of each batch, of all processes together; they add up to the number of samples
        seed : of this epoch's order
        world : this process among all
        first_step : where to begin; what follows is what would have followed without the break
        """
        if self.held is not None:
            return self._held_batches(sizes, seed, world, first_step)
        stream = Stream(self, sizes, seed, world, first_step)
        if not self.workers:
            return iter(stream)
        # Spawned, not forked: a fork copies the locks of threads, and Arrow has threads.
        loader = DataLoader(stream, None, num_workers=self.workers, multiprocessing_context="spawn")
        return iter(loader)

    def _hold(self) -> list[Decoded] | None:
        """Return all samples, decoded, if they are small enough together, going by the first."""
        stream = read_noisy_samples(self.corpus.shards["train"], self.noise_dir)
        first = self.decode(next(stream))
        if self.samples * first[0].nbytes > HELD_BYTES:
            return None
        return [first, *map(self.decode, stream)]

    def _held_batches(self, sizes: list[int], seed: int, world: World, first_step: int) -> Iterator[Batch]:
        order = list(repeated(random.Random(seed).sample(self.held, len(self.held)), self.repeats))
        begins = np.cumsum([0, *sizes])
        for step in range(first_step, len(sizes)):
            before = sum(share_of(sizes[step], rank, world.size) for rank in range(world.rank))
            begin = begins[step] + before
            yield self.collate(order[begin : begin + share_of(sizes[step], world.rank, world.size)])

    def decode(self, sample: dict[str, Any]) -> Decoded:
        """Return a sample's image and its label or caption, the noisy one if there is one."""
        image = decode_image(sample)
        if "noisy" in sample:
            return image, sample["noisy"][self.target]
        if self.target == "label":
            return image, decode_label(sample, len(self.corpus.class_names))
        return image, decode_caption(sample, self.corpus.empty_captions)

    def collate(self, batch: list[Decoded]) -> Batch:
        """Stack images of one size, uint8."""
        return stack_images([image for image, _ in batch]), [target for _, target in batch]


class Stream(IterableDataset):
    """The batches of one process in one epoch, read shard by shard, by one or several workers."""

    def __init__(self, data: TrainingData, sizes: list[int], seed: int, world: World, first_step: int) -> None:
        self.data, self.sizes, self.seed, self.world, self.first_step = data, sizes, seed, world, first_step

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this worker, every so many steps one."""
        info = torch.utils.data.get_worker_info()
        number, workers = (info.id, info.num_workers) if info else (0, 1)
        # The loader begins with its worker 0, which must make the batch of the first step.
        worker = (number + self.first_step) % workers
        shares = {
            step: share_of(self.sizes[step], self.world.rank, self.world.size)
            for step in steps_of(worker, workers, len(self.sizes))
        }
        samples = self._shuffled(worker, workers)
        # What was trained on before a break is read, but not decoded.
        _skip(samples, sum(share for step, share in shares.items() if step < self.first_step))
        for step, share in shares.items():
            if step >= self.first_step:
                yield self.data.collate([self.data.decode(sample) for sample in islice(samples, share)])

    def _shuffled(self, worker: int, workers: int) -> Iterator[dict[str, Any]]:
        shards = self.data.corpus.shards["train"]
        order = random.Random(self.seed).sample(shards, len(shards))
        counts = [self.data.shard_samples[shard.name] for shard in order]
        parts = stretches(counts, self.sizes, self.world.rank, self.world.size, worker, workers, self.data.repeats)
        stream = (
            sample
            for part in parts
            for shard in [order[part.place]]
            for sample in read_noisy_range(
                shard, self.data.noise_dir, self.data.overlays[shard.name], part.start, part.stop
            )
        )
        rng = random.Random(derive_seed("shuffle", self.seed, self.world.rank, worker))
        buffer = SHUFFLE_BUFFER // workers
        return repeated(wds.shuffle(buffer, initial=buffer, rng=rng)(stream), self.data.repeats)


def _skip(samples: Iterator[Any], count: int) -> None:
    for _ in range(count):
        next(samples)


def validation_set(corpus: Corpus) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the clean validation split: uint8 images [N, 3, H, W] and int64 labels [N].

    Raises
    ------
    UserError
        If the corpus has none, or a shard or sample of it is damaged.
    """
    if not corpus.shards["validation"]:
        raise UserError(f"corpus '{corpus.name}' has no validation split, so no encoder can be validated on it.")
    samples = list(read_samples(shard.path for shard in corpus.shards["validation"]))
    labels = [decode_label(sample, len(corpus.class_names)) for sample in samples]
    return stack_images([decode_image(sample) for sample in samples]), torch.tensor(labels)
