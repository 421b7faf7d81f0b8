"""Streams of training samples: shards in a fresh order each epoch, with the noise overlay laid over them."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds

from nml.artifacts import read_json
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import decode_caption, decode_image, decode_label, read_samples
from nml.corpora.verify import require_unchanged
from nml.errors import UserError
from nml.noise.noisy_samples import read_noisy_samples
from nml.pretraining.images import stack_images

# Encoded samples held for shuffling: half a gigabyte of photographs.
SHUFFLE_BUFFER = 5000
# A corpus whose decoded images take no more than this is read and decoded once.
HELD_BYTES = 2**28

Decoded = tuple[np.ndarray, Any]


class TrainingData:
    """The training samples of a corpus under a noise overlay, in a fresh order each epoch, every sample once.

    Parameters
    ----------
    corpus : the clean shards
    noise_dir : folder of the overlay that replaces the noisy labels or captions
    target : `label` or `caption`

    Raises
    ------
    UserError
        If a shard changed since it was indexed.
    """

    def __init__(self, corpus: Corpus, noise_dir: Path, target: str) -> None:
        self.corpus, self.noise_dir, self.target = corpus, noise_dir, target
        manifest = read_json(noise_dir / "manifest.json")
        self.samples: int = manifest["samples"]
        require_unchanged(corpus.shards["train"], manifest["shards"])
        self.held = self._hold()

    def batches(self, sizes: list[int], seed: int) -> Iterator[tuple[torch.Tensor, list[Any]]]:
        """Yield one epoch: uint8 images [B, 3, H, W] and B targets, for each batch size B in `sizes`.

        The sizes add up to the number of samples; `seed` sets this epoch's order.
        """
        samples = self._shuffled(random.Random(seed))
        for size in sizes:
            batch = [next(samples) for _ in range(size)]
            yield stack_images([image for image, _ in batch]), [target for _, target in batch]

    def _hold(self) -> list[Decoded] | None:
        """Return all samples, decoded, if they are small enough together, going by the first."""
        stream = read_noisy_samples(self.corpus.shards["train"], self.noise_dir)
        first = self._decode(next(stream))
        if self.samples * first[0].nbytes > HELD_BYTES:
            return None
        return [first, *map(self._decode, stream)]

    def _shuffled(self, rng: random.Random) -> Iterator[Decoded]:
        if self.held is not None:
            return iter(rng.sample(self.held, len(self.held)))
        shards = self.corpus.shards["train"]
        stream = read_noisy_samples(rng.sample(shards, len(shards)), self.noise_dir)
        return map(self._decode, wds.shuffle(SHUFFLE_BUFFER, initial=SHUFFLE_BUFFER, rng=rng)(stream))

    def _decode(self, sample: dict[str, Any]) -> Decoded:
        image = decode_image(sample)
        if "noisy" in sample:
            return image, sample["noisy"][self.target]
        if self.target == "label":
            return image, decode_label(sample, len(self.corpus.class_names))
        return image, decode_caption(sample, self.corpus.empty_captions)


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


def even_batches(samples: int, batch_size: int) -> list[int]:
    """Split an epoch into the fewest batches of at most `batch_size`, as equal in size as can be.

    A short last batch would weigh its samples more than the others and may be too small to normalise.
    """
    steps = -(-samples // batch_size)
    return [samples // steps + (step < samples % steps) for step in range(steps)]
