"""The weights of a file in the model of a library, or an error that names the first tensors that do not fit."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import timm
import torch
from open_clip.factory import load_checkpoint
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nml.config.zoo import ReleasedModel
from nml.errors import UserError
from nml.pretraining import architectures

logger = logging.getLogger("nml")

Tensors = dict[str, torch.Tensor]
_SHOWN = 3


def load_weights(model: ReleasedModel, file: Path, size: int) -> tuple[nn.Module, int]:
    """Return a released model with the weights of a safetensors file, and how many classes its classifier has.

    What is not in the model's own form, such as weights under older names or for another image size, is converted by
    the library itself, where it can.

    Parameters
    ----------
    model : which one
    file : the weights
    size : side of the model's input, in pixels

    Raises
    ------
    UserError
        If the file is damaged, or holds the weights of another model.
    """
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise UserError(f"{file} is damaged, or is no safetensors file: {error}. Get it again.") from None
    classes = _CLASSES[model.library](model, tensors)
    module = _build(model, classes, size)
    differences = list(_differences(tensors, module))
    if not differences:
        module.load_state_dict(tensors)
        return module, classes
    if convert := _CONVERTED.get(model.library):
        try:
            return convert(model, file, tensors, size)
        except Exception as error:
            # The libraries raise whatever the tensors run into; the differences say more than that.
            logger.info("%s was not converted by %s either: %s", file, model.library, str(error).partition("\n")[0])
    raise _mismatch(model, file, differences)


def _build(model: ReleasedModel, classes: int, size: int) -> nn.Module:
    """Return the model with its initial weights; raise `UserError` if it cannot be built for images of this size."""
    name = f"{model.library}/{model.architecture}"
    try:
        return architectures.load(name, size).build(classes)
    except (RuntimeError, AssertionError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(f"{name} cannot take images of {size} × {size} pixels: {what}") from None


def _timm_classes(model: ReleasedModel, tensors: Tensors) -> int:
    """Return how many classes the classifier among the tensors has; 0 without one, as in a bare encoder."""
    names = timm.get_pretrained_cfg(model.architecture).classifier or ""
    weight = tensors.get(f"{names if isinstance(names, str) else names[0]}.weight")
    return 0 if weight is None else len(weight)


def _torchvision_classes(model: ReleasedModel, tensors: Tensors) -> int:
    """Return how many classes the last linear layer has; features are what it is given."""
    with torch.device("meta"):
        module = architectures.load(f"torchvision/{model.architecture}").build(1000)
    name = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)][-1]
    weight = tensors.get(f"{name}.weight")
    return 1000 if weight is None else len(weight)


def _converted_by_timm(model: ReleasedModel, file: Path, tensors: Tensors, size: int) -> tuple[nn.Module, int]:
    """Load by timm; a classifier under another name is taken to have the classes of timm's own weights."""
    own = timm.get_pretrained_cfg(model.architecture)
    classes = _timm_classes(model, tensors) or own.num_classes
    overlay = {"state_dict": dict(tensors), "num_classes": classes}
    options = {"img_size": size} if own.fixed_input_size else {}
    module = timm.create_model(
        model.architecture, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay, **options
    )
    return module, classes


def _converted_by_open_clip(model: ReleasedModel, file: Path, tensors: Tensors, size: int) -> tuple[nn.Module, int]:
    module = architectures.load(f"open_clip/{model.architecture}", size).build(0)
    # By its suffix open_clip knows that this is no pickle.
    load_checkpoint(module, str(file), strict=True)
    return module, 0


_CLASSES = {"timm": _timm_classes, "torchvision": _torchvision_classes, "open_clip": lambda model, tensors: 0}
_CONVERTED = {"timm": _converted_by_timm, "open_clip": _converted_by_open_clip}


def _differences(tensors: Tensors, module: nn.Module) -> Iterator[str]:
    """Yield what is not as in the model, tensor by tensor, in the order of the model's own."""
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            yield f"{name} {_shape(tensor)} is not in the file"
        elif tensors[name].shape != tensor.shape:
            yield f"{name} is {_shape(tensors[name])} in the file, {_shape(tensor)} in the model"
    yield from (f"{name} {_shape(tensors[name])} is not in the model" for name in tensors if name not in expected)


def _mismatch(model: ReleasedModel, file: Path, differences: list[str]) -> UserError:
    shown = "\n".join(f"  {difference}" for difference in islice(differences, _SHOWN))
    more = f"\n  and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return UserError(
        f"{file} does not hold the weights of {model.library}/{model.architecture}:\n{shown}{more}\n"
        "Name the architecture that they are of, or the right file."
    )


def _shape(tensor: torch.Tensor) -> str:
    return str(list(tensor.shape))
