"""What a library says of the weights of its models: where they lie, and how images are prepared for them."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import open_clip
import timm
import torchvision
from open_clip.factory import get_model_config
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from nml.config.zoo import ReleasedModel
from nml.errors import UserError, nearest

_OPEN_CLIP_FILE = "open_clip_model.safetensors"
_HUB_ONLY = "Get its weights as safetensors in another way, and name the file by `weights`."


@dataclass(frozen=True)
class HubFile:
    """A safetensors file on the Hugging Face hub."""

    repository: str
    file: str
    revision: str = "main"


@dataclass(frozen=True)
class Source:
    """What a library says of weights.

    Attributes
    ----------
    preprocessing : dict
        `size`, `crop`, `interpolation`, `mean`, `std`; `crop` is None where images are not cropped at the centre.
    hub : HubFile or None
        Where they lie; None if no tag names them.
    """

    preprocessing: dict[str, Any]
    hub: HubFile | None = None


def source_of(model: ReleasedModel) -> Source:
    """Return what the library of a released model says of its weights, or where they are a file, of the model.

    Raises
    ------
    UserError
        If the library has no weights of this tag, or none that are safetensors.
    """
    return {"timm": _timm, "open_clip": _open_clip, "torchvision": _torchvision}[model.library](model)


def _timm(model: ReleasedModel) -> Source:
    if model.pretrained:
        _require_tag(model, [name.partition(".")[2] for name in timm.list_pretrained(f"{model.architecture}.*")])
    tag = f".{model.pretrained}" if model.pretrained else ""
    said = timm.get_pretrained_cfg(model.architecture + tag)
    channels, height, width = said.input_size
    if channels != 3 or height != width:
        raise _refusal(model, f"takes images of {channels} channels, {height} × {width}, and only RGB squares are made")
    preprocessing = {"size": height, "crop": said.crop_pct if said.crop_mode == "center" else None}
    preprocessing |= {"interpolation": said.interpolation, "mean": list(said.mean), "std": list(said.std)}
    return Source(preprocessing, _timm_file(model, said.hf_hub_id) if model.pretrained else None)


def _timm_file(model: ReleasedModel, hub_id: str | None) -> HubFile:
    if not hub_id:
        raise _refusal(model, f"has no safetensors of '{model.pretrained}' on the hub. {_HUB_ONLY}")
    repository, _, revision = hub_id.partition("@")
    return HubFile(repository, "model.safetensors", revision or "main")


def _open_clip(model: ReleasedModel) -> Source:
    tags = open_clip.list_pretrained_tags_by_model(model.architecture)
    said: dict[str, Any] = {}
    if model.pretrained:
        _require_tag(model, tags)
        said = open_clip.get_pretrained_cfg(model.architecture, model.pretrained)
        _require_activation(model, bool(said.get("quick_gelu")))
    config = get_model_config(model.architecture)
    merged = merge_preprocess_dict(PreprocessCfg(size=config["vision_cfg"]["image_size"]), said)
    preprocessing = {"size": merged["size"], "crop": 1.0 if merged["resize_mode"] == "shortest" else None}
    preprocessing |= {name: merged[name] for name in ("interpolation", "mean", "std")}
    preprocessing |= {name: list(preprocessing[name]) for name in ("mean", "std")}
    return Source(preprocessing, _open_clip_file(model, said["hf_hub"]) if model.pretrained else None)


def _require_activation(model: ReleasedModel, quick: bool) -> None:
    """Refuse weights that were trained with another activation than the model is built with; they would load."""
    if quick == bool(get_model_config(model.architecture).get("quick_gelu")):
        return
    other = f"{model.architecture}-quickgelu" if quick else model.architecture.removesuffix("-quickgelu")
    hint = f" Name '{other}'." if other in open_clip.list_models() else ""
    trained = "QuickGELU" if quick else "GELU"
    raise _refusal(model, f"has another activation than '{model.pretrained}', which was trained with {trained}.{hint}")


def _open_clip_file(model: ReleasedModel, place: str) -> HubFile:
    """Return the safetensors beside the file that open_clip names as `<owner>/<repository>/<file>`."""
    repository, _, file = place.rpartition("/")
    path = PurePosixPath(file or "open_clip_pytorch_model.bin")
    if path.name == "open_clip_pytorch_model.bin":
        return HubFile(repository, _OPEN_CLIP_FILE)
    if path.suffix not in (".bin", ".pth", ".safetensors"):
        raise _refusal(model, f"has no safetensors of '{model.pretrained}' on the hub. {_HUB_ONLY}")
    return HubFile(repository, str(path.with_suffix(".safetensors")))


def _torchvision(model: ReleasedModel) -> Source:
    said = torchvision.models.get_model_weights(model.architecture).DEFAULT.transforms()
    (size,), (side,) = said.crop_size, said.resize_size
    crop = size / side
    # The transform scales to the whole pixels below size / crop.
    while math.floor(size / crop) < side:
        crop = math.nextafter(crop, 0)
    preprocessing = {"size": size, "crop": crop, "interpolation": said.interpolation.value}
    return Source(preprocessing | {"mean": list(said.mean), "std": list(said.std)})


def _require_tag(model: ReleasedModel, tags: list[str]) -> None:
    if model.pretrained not in tags:
        meant = nearest(model.pretrained or "", tags)
        hint = f" Did you mean '{meant}'?" if meant else ""
        raise _refusal(model, f"has no weights '{model.pretrained}'.{hint} Allowed: {', '.join(tags) or '(none)'}")


def _refusal(model: ReleasedModel, why: str) -> UserError:
    return UserError(f"{model.library}/{model.architecture} {why}.".replace("..", "."))
