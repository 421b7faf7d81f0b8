"""The untrained control: an encoder at its initialisation."""

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nml.artifacts import full_disk_named
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import CorruptImage, decode_image, read_range, read_samples
from nml.grid import Encoder
from nml.pretraining import architectures
from nml.pretraining.encoder_files import write_encoder
from nml.pretraining.epoch_plan import share_of
from nml.pretraining.inputs import input_transform, preprocessing_of
from nml.pretraining.model import build_model
from nml.seeds import derive_seed

# Images that the batch norms take their statistics from.
CALIBRATION_IMAGES = 2048
# Most of them in one forward pass, whatever the batch size of the recipe.
FORWARD_IMAGES = 256
# Tars of no more bytes than this together are a small corpus.
SMALL_CORPUS = 2**26


def initialise(encoder: Encoder, corpus: Corpus, recipe: Recipe, out_dir: Path) -> None:
    """Write an encoder at the very initialisation that the trained ones of this recipe and seed start from.

    Its batch norms get the statistics of the corpus' images: with those of the initialisation, mean 0 and variance 1,
    the activations shrink from layer to layer, and the control would fail for a reason other than what it controls.
    """
    model = build_model(recipe, encoder.recipe, len(corpus.class_names), encoder.seed)
    calibrate(model, islice(_readable_images(corpus), CALIBRATION_IMAGES), recipe)
    facts = {"validation_accuracy": None, "epochs": 0, "samples_per_second": None, "wall_seconds": 0.0}
    facts |= {"realised_noise_percent": None}
    with full_disk_named(out_dir):
        write_encoder(model, str(encoder), recipe, len(corpus.class_names), facts, out_dir)


def _readable_images(corpus: Corpus) -> Iterator[np.ndarray]:
    for sample in _samples(corpus):
        with suppress(CorruptImage):
            yield decode_image(sample)


def _samples(corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Yield the samples of a small corpus in order; of another one, the first ones of every shard, or of some drawn.

    There the first shards would be one member of a pool, or two classes of an ImageFolder tree.
    """
    shards = [shard.path for shard in corpus.shards["train"]]
    if _are_small(shards):
        yield from read_samples(shards)
        return
    drawn = random.Random(derive_seed("calibration", corpus.name)).sample(shards, min(len(shards), CALIBRATION_IMAGES))
    for place, shard in enumerate(drawn):
        yield from read_range(shard, 0, share_of(CALIBRATION_IMAGES, place, len(drawn)))


def _are_small(shards: list[Path]) -> bool:
    return all(shard.is_file() for shard in shards) and sum(shard.stat().st_size for shard in shards) <= SMALL_CORPUS


@torch.no_grad()
def calibrate(model: nn.Module, images: Iterable[np.ndarray], recipe: Recipe) -> None:
    """Set the statistics of the batch norms, in place, to their means over batches of a recipe.

    The images are uint8 [H, W, 3]; a model without batch norms takes none of them.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = None
    model.train()
    features = architectures.feature_function(model, architectures.of_recipe(recipe))
    transform = input_transform(preprocessing_of(recipe), torch.device("cpu"))
    images = iter(images)
    while batch := list(islice(images, min(recipe.batch_size, FORWARD_IMAGES))):
        features(transform(batch))
    model.eval()
