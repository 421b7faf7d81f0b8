"""The untrained control: an encoder at its initialisation."""

from itertools import islice
from pathlib import Path

import torch
from torch import nn

from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import decode_image, read_samples
from nml.grid import Encoder
from nml.pretraining import architectures
from nml.pretraining.encoder_files import write_encoder
from nml.pretraining.engine import build_model
from nml.pretraining.images import normalise, stack_images

# Images that the batch norms take their statistics from.
CALIBRATION_IMAGES = 2048


def initialise(encoder: Encoder, corpus: Corpus, recipe: Recipe, out_dir: Path) -> None:
    """Write an encoder at the very initialisation that the trained ones of this recipe and seed start from.

    Its batch norms get the statistics of the corpus' images: with those of the initialisation, mean 0 and variance 1,
    the activations shrink from layer to layer, and the control would fail for a reason other than what it controls.
    """
    model = build_model(recipe, encoder.recipe, len(corpus.class_names), encoder.seed)
    samples = islice(read_samples(shard.path for shard in corpus.shards["train"]), CALIBRATION_IMAGES)
    calibrate(model, stack_images([decode_image(sample) for sample in samples]), recipe)
    facts = {"validation_accuracy": None, "epochs": 0, "samples_per_second": None, "wall_seconds": 0.0}
    write_encoder(
        model, str(encoder), recipe, len(corpus.class_names), facts | {"realised_noise_percent": None}, out_dir
    )


@torch.no_grad()
def calibrate(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> None:
    """Set the statistics of the batch norms, in place, to their means over batches of uint8 images [N, 3, H, W]."""
    architecture = architectures.of_recipe(recipe)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    model.train()
    features = architectures.feature_function(model, architecture)
    for batch in images.split(recipe.batch_size):
        features(normalise(batch, architecture.image_size))
    model.eval()
