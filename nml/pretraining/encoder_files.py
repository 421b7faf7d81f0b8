"""What an encoder's folder holds: `model.safetensors` and `meta.json`."""

import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

import nml
from nml.artifacts import sha256_file, write_json
from nml.config.recipes import Recipe
from nml.pretraining import architectures
from nml.pretraining.checkpoints import save_tensors
from nml.pretraining.images import preprocessing


def write_encoder(
    model: nn.Module, address: str, recipe: Recipe, num_classes: int, facts: dict[str, Any], out_dir: Path
) -> None:
    """Write a model and what is known of it; `facts` are the measurements that `meta.json` adds."""
    checkpoint = out_dir / "model.safetensors"
    size = architectures.of_recipe(recipe).image_size
    header = {"address": address, "architecture": recipe.architecture, "num_classes": num_classes}
    header |= {"image_size": size, "preprocessing": preprocessing(size)}
    save_tensors(checkpoint, model.state_dict(), header)
    meta = {"address": address, "objective": recipe.objective, "architecture": recipe.architecture}
    versions = {"nml": nml.__version__, "torch": torch.__version__, "python": platform.python_version()}
    meta |= facts | {"checkpoint_sha256": sha256_file(checkpoint), "recipe": recipe.model_dump(), "versions": versions}
    write_json(out_dir / "meta.json", meta)
