"""Make one encoder: trained on a noisy corpus, or left at its initialisation as a control."""

import csv
import io
import platform
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

import nml
from nml.artifacts import read_json, sha256_file, write_json, write_text
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import decode_image, read_samples
from nml.grid import Encoder
from nml.pretraining import architectures
from nml.pretraining.checkpoints import save_tensors
from nml.pretraining.engine import Run, build_model, train
from nml.pretraining.images import normalise, stack_images

# An untrained encoder has no classes to tell apart; its head is never used.
UNTRAINED_CLASSES = 2
# Images that an untrained encoder's batch norms take their statistics from.
CALIBRATION_IMAGES = 2048


def pretrain(run: Run, out_dir: Path) -> None:
    """Train an encoder and write `model.safetensors`, `meta.json` and `log.csv`."""
    started = time.monotonic()
    model, log = train(run)
    noise = read_json(run.noise_dir / "manifest.json")
    facts = {
        "validation_accuracy": log[-1]["validation_accuracy"],
        "epochs": len(log),
        "samples_per_second": round(sum(row["images_per_second"] for row in log) / len(log), 1),
        "wall_seconds": round(time.monotonic() - started, 1),
        "training_seconds": round(sum(row["seconds"] for row in log), 1),
        "realised_noise_percent": noise["realised_percent"],
    }
    _write_log(out_dir / "log.csv", log)
    _write_encoder(model, run.label, run.recipe, len(run.corpus.class_names), facts, out_dir)
    run.progress_file.unlink(missing_ok=True)


def initialise(encoder: Encoder, corpus: Corpus, recipe: Recipe, out_dir: Path) -> None:
    """Write an encoder at the very initialisation that the trained ones of this recipe and seed start from.

    Its batch norms get the statistics of the corpus' images: with those of the initialisation, mean 0 and variance 1,
    the activations shrink from layer to layer, and the control would fail for a reason other than what it controls.
    """
    model = build_model(recipe, encoder.recipe, UNTRAINED_CLASSES, encoder.seed)
    samples = islice(read_samples(corpus.shards["train"]), CALIBRATION_IMAGES)
    calibrate(model, stack_images([decode_image(sample) for sample in samples]), recipe)
    facts = {"validation_accuracy": None, "epochs": 0, "samples_per_second": None, "wall_seconds": 0.0}
    _write_encoder(model, str(encoder), recipe, UNTRAINED_CLASSES, facts | {"realised_noise_percent": None}, out_dir)


@torch.no_grad()
def calibrate(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> None:
    """Set the statistics of the batch norms, in place, to their means over batches of uint8 images [N, 3, H, W]."""
    architecture = architectures.load(recipe.architecture)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    model.train()
    features = architectures.feature_function(model, architecture)
    for batch in images.split(recipe.batch_size):
        features(normalise(batch, architecture.IMAGE_SIZE))
    model.eval()


def _write_encoder(
    model: nn.Module, address: str, recipe: Recipe, num_classes: int, facts: dict[str, Any], out_dir: Path
) -> None:
    checkpoint = out_dir / "model.safetensors"
    header = {"address": address, "architecture": recipe.architecture, "num_classes": num_classes}
    save_tensors(checkpoint, model.state_dict(), header)
    meta = {"address": address, "objective": recipe.objective, "architecture": recipe.architecture}
    versions = {"nml": nml.__version__, "torch": torch.__version__, "python": platform.python_version()}
    meta |= facts | {"checkpoint_sha256": sha256_file(checkpoint), "recipe": recipe.model_dump(), "versions": versions}
    write_json(out_dir / "meta.json", meta)


def _write_log(path: Path, log: list[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, log[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_text(path, text.getvalue())
