"""The clean validation split: read in batches, split over the processes, and never whole in memory if it is large."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import IterableDataset

from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import decode_label, open_image, read_range, scan_samples
from nml.errors import UserError
from nml.pretraining.batches import require_one_size
from nml.pretraining.data import HELD_BYTES, loaded, this_worker
from nml.pretraining.epoch_plan import steps_of, stretches
from nml.pretraining.evaluation_transform import EvaluationTransform, evaluation_transform
from nml.pretraining.images import stack_images
from nml.pretraining.inputs import preprocessing_of, to_input
from nml.pretraining.run import Run
from nml.pretraining.world import ALONE, World

BATCH_SIZE = 256


class Labelled(NamedTuple):
    """Images uint8 [B, 3, H, W] and labels int64 [B]."""

    images: torch.Tensor
    labels: torch.Tensor


class ValidationData:
    """The validation split of a corpus, in its order.

    Parameters
    ----------
    corpus : its labels are read at once, so that a wrong one is found before training
    how : changes to each image; None leaves images as they are, all of one size
    workers : processes that read and decode a split too large to hold; with none, this one does

    Raises
    ------
    UserError
        If the corpus has no such split or it is empty, a shard or label of it is damaged, or the images of its first
        batch are, or have different sizes and `how` is None.
    """

    def __init__(self, corpus: Corpus, how: ImageTransform | None = None, workers: int = 0) -> None:
        if not corpus.shards["validation"]:
            raise UserError(f"corpus '{corpus.name}' has no validation split, so no encoder can be validated on it.")
        self.corpus, self.how, self.workers = corpus, how, workers
        self.shard_samples = [self._count(shard.path) for shard in corpus.shards["validation"]]
        self.samples = sum(self.shard_samples)
        if not self.samples:
            raise UserError(f"the validation split of corpus '{corpus.name}' has shards, and no samples in them.")
        self.sizes = [min(BATCH_SIZE, self.samples - begin) for begin in range(0, self.samples, BATCH_SIZE)]
        self.held = self._hold()

    def batches(self, world: World = ALONE) -> Iterator[Labelled]:
        """Yield this process' batches; all processes' together are the split, each sample once.

        Raises
        ------
        UserError
            If a shard or image is damaged, or images have different sizes and stay as they are; the accuracy is of all
            images or not told.
        """
        if self.held is not None:
            return iter(self.held[world.rank :: world.size])
        return loaded(ValidationStream(self, world), self.workers)

    def _count(self, shard: Path) -> int:
        """Return the number of samples in a shard, whose labels are checked and whose images are not read."""
        labelled = (sample for sample, _ in scan_samples(shard, {"cls"}))
        return len([decode_label(sample, len(self.corpus.class_names)) for sample in labelled])

    def _hold(self) -> list[Labelled] | None:
        """Return all batches if they are small enough together, going by the first, which is read in any case."""
        batches = iter(ValidationStream(self, ALONE))
        first = next(batches)
        if self.samples * first.images[0].nbytes > HELD_BYTES:
            return None
        return [first, *batches]

    def read(self, shard: int, start: int, stop: int) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the images, uint8 [H, W, 3], and labels of the samples `start` to `stop` of a shard, by its number."""
        transform = _transform_of(self.how) if self.how else np.asarray
        for sample in read_range(self.corpus.shards["validation"][shard].path, start, stop):
            yield transform(open_image(sample)), decode_label(sample, len(self.corpus.class_names))


def _transform_of(how: ImageTransform) -> EvaluationTransform:
    return evaluation_transform(how.test_size or how.size, how.test_crop, how.interpolation)


class ValidationStream(IterableDataset):
    """The batches of one process, each whole; the workers of all processes are readers alike."""

    def __init__(self, data: ValidationData, world: World) -> None:
        self.data, self.world = data, world

    def __iter__(self) -> Iterator[Labelled]:
        """Yield the batches of this worker."""
        number, workers = this_worker()
        reader, readers = self.world.rank * workers + number, self.world.size * workers
        parts = stretches(self.data.shard_samples, self.data.sizes, 0, 1, reader, readers)
        samples = (pair for part in parts for pair in self.data.read(part.place, part.start, part.stop))
        for step in steps_of(reader, readers, len(self.data.sizes)):
            images, labels = zip(*islice(samples, self.data.sizes[step]), strict=True)
            require_one_size(images)
            yield Labelled(stack_images(list(images)), torch.tensor(labels))


@torch.inference_mode()
def accuracy(predict: Callable[[torch.Tensor], torch.Tensor], data: ValidationData, world: World = ALONE) -> float:
    """Return the share of the split's images that get their class; every process must call it, and gets the same.

    Parameters
    ----------
    predict : classes int64 [B] of images uint8 [B, 3, H, W] on the process' device
    """
    right = torch.zeros((), dtype=torch.int64, device=world.device)
    for images, labels in data.batches(world):
        right += (predict(world.send(images)) == world.send(labels)).sum()
    return world.add(right).item() / data.samples


@torch.inference_mode()
def validation_accuracy(run: Run, model: nn.Module, validation: ValidationData, world: World = ALONE) -> float:
    """Return the accuracy on clean validation images, split over the processes; all of them must call it."""
    # Batch norms count on every process, and the first one's model is what is kept.
    world.share_first(model.buffers())
    classes_of = run.objective.classifier(model.eval(), run.validation_corpus, run.architecture)
    preprocessing = preprocessing_of(run.recipe)
    return accuracy(lambda images: classes_of(to_input(images, preprocessing)), validation, world)
