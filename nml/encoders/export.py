"""An encoder in the layout of another library, so that others load it with that library alone."""

import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
import torchvision
from open_clip.factory import get_model_config
from safetensors.torch import load_model, save_file
from timm.models import save_for_hf
from torch import nn

from nml.artifacts import read_json, sha256_file, write_json, write_text
from nml.encoders.load import checkpoint_path, damage_named
from nml.encoders.model_card import model_card
from nml.errors import UserError
from nml.grid import ZOO, Encoder
from nml.plugins import ARCHITECTURES, architecture_objective, module_name
from nml.pretraining import architectures
from nml.pretraining.checkpoints import load_tensors
from nml.pretraining.inputs import input_transform

# What timm knows of its own weights, and is not true of ours.
_PROVENANCE = ("tag", "url", "file", "hf_hub_id", "license", "origin_url", "paper_ids", "paper_name", "label_offset")

_CHOOSE = "So nothing was written; choose another layout."


@dataclass(frozen=True)
class Checkpoint:
    """What is exported: the module with its weights, and what its header says of it."""

    architecture: str
    num_classes: int
    image_size: int
    preprocessing: dict[str, Any]
    module: nn.Module

    @property
    def library_model(self) -> str:
        """The name of the model in its library."""
        return self.architecture.partition("/")[2]


@dataclass(frozen=True)
class Layout:
    """How one library keeps a model in a folder.

    Attributes
    ----------
    weights : str
        Name of the file with the tensors.
    fits : from an architecture's name to whether its models can have this layout
    write : writes the weights and the configuration into a folder
    load : loads what `write` wrote by the library's own means
    usage : lines of Python for the model card; `{folder}`, `{model}` and, of torchvision, `{options}` are put in
    """

    weights: str
    fits: Callable[[str], bool]
    write: Callable[[Checkpoint, Path], None]
    load: Callable[[Checkpoint, Path], nn.Module]
    usage: str


def export(address: str, folder: Path, layout: str | None = None, root: Path = Path()) -> str:
    """Write an encoder's weights, configuration and model card into a folder; return the name of the layout.

    What was written is loaded by the library's own means and must give the encoder's outputs.

    Parameters
    ----------
    address : of the encoder
    folder : where to; it must not exist, or be empty
    layout : one of `LAYOUTS`; None for the first one that fits
    root : the folder with `results/`

    Raises
    ------
    UserError
        If there is no such encoder, if others have released it, if it cannot have this layout, or if the folder is not
        empty.
    """
    path = checkpoint_path(address, root)
    if Encoder.parse(address).corpus == ZOO:
        raise UserError(f"{address} was released by others; pass on what they released, with their licence.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not an empty folder. Name one that is empty or does not exist yet.")
    checkpoint = _read(path)
    name = _choose(checkpoint.architecture, layout)
    made = folder.absolute().with_name(f".{folder.name}.{os.getpid()}.tmp")
    made.mkdir(parents=True)
    try:
        LAYOUTS[name].write(checkpoint, made)
        _require_same_outputs(checkpoint, LAYOUTS[name].load(checkpoint, made), name)
        write_text(made / "README.md", _card(checkpoint, name, path, made, folder))
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return name


def _read(path: Path) -> Checkpoint:
    names = ("architecture", "num_classes", "image_size", "preprocessing")
    with damage_named(path):
        tensors, header = load_tensors(path)
        module = architectures.load(header["architecture"], header["image_size"]).build(header["num_classes"])
        module.load_state_dict(tensors)
        # Only to see whether it can be made.
        input_transform(header["preprocessing"], torch.device("cpu"))
        return Checkpoint(**{name: header[name] for name in names}, module=module.eval())


def _choose(architecture: str, layout: str | None) -> str:
    fitting = [name for name, made in LAYOUTS.items() if made.fits(architecture)]
    if layout is None:
        return fitting[0]
    if layout not in fitting:
        raise UserError(f"the layout '{layout}' does not fit '{architecture}'. Allowed: {', '.join(fitting)}.")
    return layout


def _card(checkpoint: Checkpoint, layout: str, path: Path, made: Path, folder: Path) -> str:
    weights = LAYOUTS[layout].weights
    options = ", ".join(f"{name}={value}" for name, value in _torchvision_options(checkpoint).items())
    names = {"folder": folder, "model": checkpoint.library_model, "options": options}
    checksums = {weights: sha256_file(made / weights), "model.safetensors of nml": sha256_file(path)}
    usage = LAYOUTS[layout].usage.format(**names)
    return model_card(read_json(path.with_name("meta.json")), checkpoint.preprocessing, layout, usage, checksums)


@torch.inference_mode()
def _require_same_outputs(checkpoint: Checkpoint, loaded: nn.Module, layout: str) -> None:
    size = checkpoint.image_size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    own, other = (getattr(module, "encode_image", module)(images) for module in (checkpoint.module, loaded.eval()))
    if not torch.allclose(own, other, rtol=1e-3, atol=1e-4 * own.abs().max().item()):
        raise UserError(
            f"what {layout} loads gives other outputs than the encoder ({checkpoint.architecture}). {_CHOOSE}"
        )


def _write_timm(checkpoint: Checkpoint, folder: Path) -> None:
    module = checkpoint.module
    if not hasattr(module, "pretrained_cfg"):
        module = _as_timms(checkpoint)
    module.pretrained_cfg = {key: value for key, value in module.pretrained_cfg.items() if key not in _PROVENANCE}
    prepared = checkpoint.preprocessing
    data = {name: prepared[name] for name in ("interpolation", "mean", "std")}
    data |= {"input_size": (3, prepared["size"], prepared["size"]), "crop_pct": prepared.get("crop", 1.0)}
    data["crop_mode"] = "squash" if prepared["resize"] == "squash" else "center"
    save_for_hf(module, str(folder), safe_serialization=True, data_config=data)


def _as_timms(checkpoint: Checkpoint) -> nn.Module:
    """Return timm's model of the same name with the weights of another library's."""
    try:
        module = timm.create_model(checkpoint.library_model, num_classes=checkpoint.num_classes)
        module.load_state_dict(checkpoint.module.state_dict())
    except RuntimeError:
        raise UserError(f"timm has no model of the name and form of '{checkpoint.architecture}'. {_CHOOSE}") from None
    return module


def _load_timm(checkpoint: Checkpoint, folder: Path) -> nn.Module:
    return timm.create_model(f"local-dir:{folder}", pretrained=True)


def _write_open_clip(checkpoint: Checkpoint, folder: Path) -> None:
    prepared = checkpoint.preprocessing
    if prepared.get("crop", 1.0) != 1.0:
        raise UserError(
            f"open_clip scales an image to the size of its crop, and this encoder was validated on the centre "
            f"{prepared['crop']:.1%} of it. {_CHOOSE}"
        )
    model = _open_clip_config(checkpoint.architecture)
    model["vision_cfg"]["image_size"] = checkpoint.image_size
    preprocess = {name: prepared[name] for name in ("mean", "std", "interpolation")}
    preprocess["resize_mode"] = "squash" if prepared["resize"] == "squash" else "shortest"
    write_json(folder / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    _save(checkpoint, folder / LAYOUTS["open_clip"].weights)


def _open_clip_config(architecture: str) -> dict[str, Any] | None:
    """Return a model's configuration in open_clip's words, or None if it is not open_clip's."""
    library, slash, model = architecture.partition("/")
    if slash:
        return get_model_config(model) if library == "open_clip" else None
    return deepcopy(getattr(import_module(module_name(ARCHITECTURES, architecture)), "OPEN_CLIP", None))


def _load_open_clip(checkpoint: Checkpoint, folder: Path) -> nn.Module:
    return open_clip.create_model(f"local-dir:{folder}")


def _write_torchvision(checkpoint: Checkpoint, folder: Path) -> None:
    names = ("architecture", "num_classes", "image_size", "preprocessing")
    write_json(folder / "config.json", {name: getattr(checkpoint, name) for name in names})
    _save(checkpoint, folder / LAYOUTS["torchvision"].weights)


def _load_torchvision(checkpoint: Checkpoint, folder: Path) -> nn.Module:
    module = torchvision.models.get_model(checkpoint.library_model, **_torchvision_options(checkpoint))
    load_model(module, folder / LAYOUTS["torchvision"].weights)
    return module


def _torchvision_options(checkpoint: Checkpoint) -> dict[str, int]:
    size = {"image_size": checkpoint.image_size} if checkpoint.library_model.startswith("vit_") else {}
    return {"num_classes": checkpoint.num_classes} | size


def _save(checkpoint: Checkpoint, path: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.module.state_dict().items()}
    save_file(tensors, path, metadata={"format": "pt"})


def _fits_timm(architecture: str) -> bool:
    return architecture_objective(architecture) == "supervised"


_TIMM_USAGE = """\
import timm

model = timm.create_model("local-dir:{folder}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
features = model.forward_head(model.forward_features(transform(image)[None]), pre_logits=True)"""

_OPEN_CLIP_USAGE = """\
import open_clip

model, _, transform = open_clip.create_model_and_transforms("local-dir:{folder}")
tokenizer = open_clip.get_tokenizer("local-dir:{folder}")
features = model.eval().encode_image(transform(image)[None])"""

_TORCHVISION_USAGE = """\
import safetensors.torch
import torchvision

model = torchvision.models.get_model("{model}", {options})
safetensors.torch.load_model(model.eval(), "{folder}/model.safetensors")"""

LAYOUTS = {
    "open_clip": Layout(
        "open_clip_model.safetensors",
        lambda architecture: _open_clip_config(architecture) is not None,
        _write_open_clip,
        _load_open_clip,
        _OPEN_CLIP_USAGE,
    ),
    "torchvision": Layout(
        "model.safetensors",
        lambda architecture: architecture.startswith("torchvision/"),
        _write_torchvision,
        _load_torchvision,
        _TORCHVISION_USAGE,
    ),
    "timm": Layout("model.safetensors", _fits_timm, _write_timm, _load_timm, _TIMM_USAGE),
}
"""The layouts, by the name of their library; the first one that fits an architecture is its own library's."""
