"""Streams of training samples: shards in a fresh order each epoch, with the noise overlay laid over them."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from nml.artifacts import read_json
from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.shards import CorruptImage, decode_caption, decode_label, open_image
from nml.corpora.verify import require_unchanged
from nml.devices import choose_device
from nml.errors import UserError
from nml.noise.noisy_samples import read_noisy_images, read_noisy_range
from nml.preemption import kept_from_children
from nml.pretraining.batches import Batch, Change, Decoded, assemble
from nml.pretraining.corrupt import CorruptImages
from nml.pretraining.epoch_plan import repeated, share_of, steps_of, stretches
from nml.pretraining.transforms import training_transform
from nml.pretraining.world import ALONE, World
from nml.seeds import derive_seed

# Encoded samples held for shuffling by all workers of a process together: half a gigabyte of photographs.
SHUFFLE_BUFFER = 5000
Collate = Callable[[list[Any]], Any]

# A corpus whose decoded images take no more than this is read and decoded once.
HELD_BYTES = 2**28


class TrainingData:
    """The training samples of a corpus under a noise overlay, in a fresh order each epoch, every sample once.

    Parameters
    ----------
    corpus : the clean shards
    noise_dir : folder of the overlay that replaces the noisy labels or captions
    target : `label` or `caption`
    workers : processes that read and decode a corpus too large to hold; with none, this one does
    repeats : how often an epoch has each of the samples that it draws; it draws as many times fewer
    how : changes to each image; None leaves images as they are, all of one size
    max_corrupt_share : of an epoch's images, that may be corrupt
    label : of the run, for the log
    collate : what makes one tensor of the targets of a batch, where images are decoded; without it they stay a list

    Attributes
    ----------
    corrupt : CorruptImages
        Those of the epoch that is under way, as far as its batches were taken.

    Raises
    ------
    UserError
        If a shard changed since it was indexed.
    """

    def __init__(
        self,
        corpus: Corpus,
        noise_dir: Path,
        target: str,
        workers: int = 0,
        repeats: int = 1,
        how: ImageTransform | None = None,
        max_corrupt_share: float = 0.0,
        label: str = "",
        collate: Collate = list,
    ) -> None:
        self.corpus, self.noise_dir, self.target, self.workers = corpus, noise_dir, target, workers
        self.repeats, self.how, self.collate = repeats, how, collate
        self.manifest = read_json(noise_dir / "manifest.json")
        self.samples: int = self.manifest["samples"]
        self.shard_samples = {name: facts["samples"] for name, facts in self.manifest["shards"].items()}
        self.corrupt = CorruptImages(label or corpus.name, self.samples, max_corrupt_share)
        require_unchanged(corpus.shards["train"], self.manifest["shards"])
        # Where images are changed one by one, holding them would leave all that to this process.
        self.held = None if how and workers else self._hold()

    def batches(
        self, sizes: list[int], seed: int, world: World = ALONE, first_step: int = 0
    ) -> Iterator[tuple[torch.Tensor, Any]]:
        """Yield this process' part of each batch of an epoch: uint8 images [b, 3, H, W] and b targets, collated.

        Parameters
        ----------
        sizes : samples of each batch, of all processes together; they add up to the number of samples
        seed : of this epoch: of its order, and of the changes to its images
        world : this process among all
        first_step : where to begin; what follows is what would have followed without the break

        Raises
        ------
        UserError
            If a shard is damaged, or too many images are.
        """
        if self.held is not None:
            batches = self._held_batches(sizes, seed, world, first_step)
        else:
            batches = loaded(Stream(self, sizes, seed, world, first_step), self.workers)
        for batch in batches:
            self.corrupt.meet(batch.corrupt)
            yield batch.images, batch.targets

    def _hold(self) -> list[Decoded] | None:
        """Return all samples, decoded, or None as soon as they prove too large together."""
        held, size = [], 0
        for sample in (self.decode(raw) for shard in self.corpus.shards["train"] for raw in self.read(shard)):
            held.append(sample)
            size += _bytes_of(sample.image)
            if size > HELD_BYTES:
                return None
        return held

    def _held_batches(self, sizes: list[int], seed: int, world: World, first_step: int) -> Iterator[Batch]:
        order = list(repeated(random.Random(seed).sample(self.held, len(self.held)), self.repeats))
        begins, change = np.cumsum([0, *sizes]), self.change(seed)
        for step in range(first_step, len(sizes)):
            before = sum(share_of(sizes[step], rank, world.size) for rank in range(world.rank))
            begin = begins[step] + before
            yield self.batch(order[begin : begin + share_of(sizes[step], world.rank, world.size)], change)

    def read(self, shard: Shard, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the raw samples `start` to `stop` of a shard, without the last, each with its key in the index."""
        for sample in read_noisy_range(shard, self.noise_dir, self.manifest["overlay"][shard.name], start, stop):
            yield sample | {"__id__": shard.prefix + sample["__key__"]}

    def read_images(self, places: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
        """Yield raw samples of class folders in any order; a place is the number of a folder and of an image there."""
        folders = self.corpus.shards["train"]
        samples = read_noisy_images(folders, self.noise_dir, self.manifest, places)
        for (number, _), sample in zip(places, samples, strict=True):
            yield sample | {"__id__": folders[number].prefix + sample["__key__"]}

    def decode(self, sample: dict[str, Any]) -> Decoded:
        """Return a sample with its label or caption, the noisy one if there is one."""
        try:
            image = open_image(sample)
        except CorruptImage as error:
            return Decoded(sample["__id__"], error, None)
        return Decoded(sample["__id__"], image if self.how else np.asarray(image), self._target(sample))

    def _target(self, sample: dict[str, Any]) -> Any:
        if "noisy" in sample:
            return sample["noisy"][self.target]
        if self.target == "label":
            return decode_label(sample, len(self.corpus.class_names))
        return decode_caption(sample, self.corpus.empty_captions)

    def batch(self, views: Iterable[tuple[Decoded, int]], change: Change) -> Batch:
        """Return the batch of some views, with collated targets."""
        batch = assemble(views, change)
        return batch._replace(targets=self.collate(batch.targets))

    def change(self, seed: int) -> Change:
        """Return what changes the images of an epoch: by its seed, the sample's key and the number of the view.

        So an image looks the same whichever process and worker reads it, and when.
        """
        if self.how is None:
            return lambda sample, view: sample.image
        transform = training_transform(self.how)
        return lambda sample, view: transform(sample.image, derive_seed("view", seed, sample.key, view))


class Stream(IterableDataset):
    """The batches of one process in one epoch, read shard by shard or image by image, by one or several workers."""

    def __init__(self, data: TrainingData, sizes: list[int], seed: int, world: World, first_step: int) -> None:
        self.data, self.sizes, self.seed, self.world, self.first_step = data, sizes, seed, world, first_step

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this worker, every so many steps one."""
        number, workers = this_worker()
        # The loader begins with its worker 0, which must make the batch of the first step.
        worker = (number + self.first_step) % workers
        shares = {
            step: share_of(self.sizes[step], self.world.rank, self.world.size)
            for step in steps_of(worker, workers, len(self.sizes))
        }
        passed = sum(share for step, share in shares.items() if step < self.first_step)
        decoded, change = self._decoded(self._views(worker, workers, passed)), self.data.change(self.seed)
        for step, share in shares.items():
            if step >= self.first_step:
                yield self.data.batch(islice(decoded, share), change)

    def _views(self, worker: int, workers: int, passed: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the raw samples of a worker, each with the numbers of its views, but for the views that it passed."""
        reader = (self.sizes, self.world.rank, self.world.size, worker, workers, self.data.repeats)
        if all(shard.path.is_dir() for shard in self.data.corpus.shards["train"]):
            images, passed = divmod(passed, self.data.repeats)
            samples = self._image_by_image(reader, images)
        else:
            rng = random.Random(derive_seed("shuffle", self.seed, self.world.rank, worker))
            buffer = SHUFFLE_BUFFER // workers
            samples = wds.shuffle(buffer, initial=buffer, rng=rng)(self._shard_by_shard(reader))
        # What was trained on before a break is read again where only its shard leads past it, but not decoded.
        return islice(repeated(samples, self.data.repeats), passed, None)

    def _shard_by_shard(self, reader: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
        data, shards = self.data, self.data.corpus.shards["train"]
        order = random.Random(self.seed).sample(shards, len(shards))
        for part in stretches([data.shard_samples[shard.name] for shard in order], *reader):
            yield from data.read(order[part.place], part.start, part.stop)

    def _image_by_image(self, reader: tuple[Any, ...], passed: int) -> Iterator[dict[str, Any]]:
        """Yield a reader's samples of class folders, all in a random order, but for those that it passed.

        The next ones of a folder would be a batch of one class.
        """
        counts = [self.data.shard_samples[shard.name] for shard in self.data.corpus.shards["train"]]
        row = [(number, image) for number, images in enumerate(counts) for image in range(images)]
        random.Random(self.seed).shuffle(row)
        parts = stretches([len(row)], *reader)
        return self.data.read_images([place for part in parts for place in row[part.start : part.stop]][passed:])

    def _decoded(self, views: Iterator[tuple[dict[str, Any], int]]) -> Iterator[tuple[Decoded, int]]:
        """Decode each sample once for all of its views, which follow each other."""
        last = decoded = None
        for sample, view in views:
            if sample is not last:
                last, decoded = sample, self.data.decode(sample)
            yield decoded, view


def this_worker() -> tuple[int, int]:
    """Return the number of this worker of a loader, and how many there are."""
    info = torch.utils.data.get_worker_info()
    return (info.id, info.num_workers) if info else (0, 1)


class _PassingErrors(IterableDataset):
    """A stream whose errors for users are its last item: a loader would bury their words in its own traceback."""

    def __init__(self, stream: IterableDataset) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.stream
        except UserError as error:
            yield error


def loaded(stream: IterableDataset, workers: int) -> Iterator[Any]:
    """Yield the items of a stream, read by some processes, or by this one; raise the errors for users in it.

    What other processes read is put where a GPU can fetch it by itself (pinned memory), if there is one.
    """
    if not workers:
        yield from stream
        return
    # Spawned, not forked: a fork copies the locks of threads, and Arrow has threads.
    options = {"multiprocessing_context": "spawn", "pin_memory": choose_device().type == "cuda"}
    with kept_from_children():
        items = iter(DataLoader(_PassingErrors(stream), None, num_workers=workers, **options))
    for item in items:
        if isinstance(item, UserError):
            raise item
        yield item


def _bytes_of(image: np.ndarray | Image.Image | CorruptImage) -> int:
    if isinstance(image, CorruptImage):
        return 0
    return image.nbytes if isinstance(image, np.ndarray) else 3 * image.width * image.height
