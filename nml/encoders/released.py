"""A released encoder as one of ours: its weights from a file or the hub, in the form that features are made from."""

import platform
import time
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
import torchvision
from torch import nn

import nml
from nml.artifacts import full_disk_named, sha256_file, write_json
from nml.config.zoo import ReleasedModel
from nml.downloads import Remote, download
from nml.encoders.released_sources import HubFile, source_of
from nml.encoders.released_weights import load_weights
from nml.errors import UserError
from nml.grid import Encoder
from nml.plugins import architecture_objective
from nml.pretraining import architectures
from nml.pretraining.checkpoints import save_tensors

HUB = "https://huggingface.co"
FOLDER = Path("data/zoo")
"""Where weights from the hub lie, as `<owner>/<repository>/<file>`; a file that was put there by hand is used."""
_PREPARED = ("size", "crop", "interpolation", "mean", "std")
_ONLY_TRAINED_HERE = ("realised_noise_percent", "validation_accuracy", "epochs", "samples_per_second", "recipe")


def import_released(name: str, model: ReleasedModel, out_dir: Path) -> None:
    """Write `model.safetensors` and `meta.json` of a released encoder.

    Parameters
    ----------
    name : its name in the configuration
    model : whose weights, and how it takes images
    out_dir : `results/encoders/zoo/<name>/released/s0`

    Raises
    ------
    UserError
        If the library has no such model or weights; if the file is not there, damaged, of another checksum or of
        another model; if images cannot be prepared as the library says; or if the disk is full.
    """
    started, architecture = time.monotonic(), f"{model.library}/{model.architecture}"
    # The name first, so that the nearest right one is said before anything is fetched.
    architectures.load(architecture)
    source = source_of(model)
    preprocessing = preprocessing_of(name, model, source.preprocessing)
    file = _weights_file(name, model, source.hub)
    module, num_classes = load_weights(model, file, preprocessing["size"])
    _require_features(architecture, module, preprocessing["size"])
    header = {"address": str(Encoder.released(name)), "architecture": architecture, "num_classes": num_classes}
    header |= {"image_size": preprocessing["size"], "preprocessing": preprocessing}
    checkpoint = out_dir / "model.safetensors"
    with full_disk_named(out_dir):
        save_tensors(checkpoint, module.state_dict(), header)
        weights = {"tag": model.pretrained, "file": file.name, "sha256": sha256_file(file)}
        costs = {"wall_seconds": time.monotonic() - started, "checkpoint_sha256": sha256_file(checkpoint)}
        write_json(out_dir / "meta.json", _meta(header) | {"weights": weights} | costs)


def _meta(header: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the encoder itself; what only one that was trained here has is None."""
    facts = {key: header[key] for key in ("address", "architecture", "num_classes", "preprocessing")}
    versions = {"nml": nml.__version__, "torch": torch.__version__, "python": platform.python_version()}
    versions |= {"timm": timm.__version__, "open_clip": open_clip.__version__, "torchvision": torchvision.__version__}
    own = {"objective": architecture_objective(header["architecture"]), "versions": versions}
    return facts | own | dict.fromkeys(_ONLY_TRAINED_HERE)


def preprocessing_of(name: str, model: ReleasedModel, said: dict[str, Any]) -> dict[str, Any]:
    """Return how images are prepared: as the library has said, but for what the configuration says."""
    own = model.preprocessing.model_dump(exclude_none=True)
    merged = {"resize": "crop"} | {key: own.get(key, said[key]) for key in _PREPARED}
    if merged["crop"] is None:
        raise UserError(
            f"{model.library}/{model.architecture} takes images that are squeezed into the square, or padded, which is "
            f"not done here. To have it see the centre of them, say zoo.{name}.preprocessing: {{crop: 1.0}}."
        )
    return merged | {key: list(merged[key]) for key in ("mean", "std")}


def _weights_file(name: str, model: ReleasedModel, hub: HubFile | None) -> Path:
    """Return the file with the weights, fetched from the hub if it is not there; a checksum that is given is right."""
    if hub is not None:
        url = f"{HUB}/{hub.repository}/resolve/{hub.revision}/{hub.file}"
        return download(Remote(Path(hub.file).name, (url,), model.checksum), FOLDER / hub.repository)
    file = Path(model.weights or "")
    if not file.is_file():
        raise UserError(f"zoo.{name}.weights: {file} is not there. Put it there, or name the file where it lies.")
    if model.checksum and (found := f"sha256:{sha256_file(file)}") != model.checksum:
        raise UserError(f"zoo.{name}.checksum: {file} has {found}, where {model.checksum} is expected.")
    return file


@torch.inference_mode()
def _require_features(architecture: str, module: nn.Module, size: int) -> None:
    """Pass a grey image through the model: what it cannot take, or answers with NaN to, is better known here."""
    features = architectures.feature_function(module.eval(), architectures.load(architecture, size))
    try:
        found = features(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(f"{architecture} cannot take images of {size} × {size} pixels: {what}") from None
    if found.ndim != 2 or not found.isfinite().all():
        raise UserError(
            f"{architecture} gives no finite vector for an image ({list(found.shape)}). It is no encoder that "
            "can be used here, or its weights are damaged."
        )
