"""Make one encoder: trained on a noisy corpus, or left at its initialisation as a control."""

import csv
import io
import platform
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import nml
from nml.artifacts import read_json, sha256_file, write_json, write_text
from nml.config.recipes import Recipe
from nml.pretraining.checkpoints import save_tensors
from nml.pretraining.engine import Run, build_model, train

# An untrained encoder has no classes to tell apart; its head is never used.
UNTRAINED_CLASSES = 2


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


def initialise(label: str, recipe: Recipe, recipe_name: str, seed: int, out_dir: Path) -> None:
    """Write an encoder at the very initialisation that the trained ones of this recipe and seed start from."""
    model = build_model(recipe, recipe_name, UNTRAINED_CLASSES, seed)
    facts = {"validation_accuracy": None, "epochs": 0, "samples_per_second": None, "wall_seconds": 0.0}
    _write_encoder(model, label, recipe, UNTRAINED_CLASSES, facts | {"realised_noise_percent": None}, out_dir)


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
