"""Architectures by name: a file here, or a model of a library.

A file declares `OBJECTIVE` (the recipes it serves) and `IMAGE_SIZE` (pixels), of the contrastive objective also
`CONTEXT_LENGTH` (tokens), and builds its model from a library's parts with `build(num_classes)`, a `torch.nn.Module`.

A library, such as `timm/resnet50`, is a file `_<library>.py` that offers each of its models: `require(model)` raises
`UserError` for a name that it cannot build, `image_size(model)` is that of the model's own configuration, and
`build(model, num_classes, image_size, drop_path)` makes it without ever loading weights. `features(module)` and
`context_length(model)` are there where they differ from what is said at `Architecture`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nml import plugins
from nml.config.recipes import Recipe
from nml.errors import UserError, nearest

Features = Callable[[torch.Tensor], torch.Tensor]


def _timm_features(module: nn.Module) -> Features:
    return lambda images: module.forward_head(module.forward_features(images), pre_logits=True)


def _image_embedding(module: nn.Module) -> Features:
    return module.encode_image


_FEATURES = {"supervised": _timm_features, "contrastive": _image_embedding}


@dataclass(frozen=True)
class Architecture:
    """How to build a model, and what it takes and gives.

    Attributes
    ----------
    objective : the recipes that it serves
    image_size : side of its input, in pixels
    build : `build(num_classes, drop_path=0.0)` returns the model at its initialisation, from torch's random state
    features : what turns a model into its feature function, images [B, 3, H, W] to [B, D]
    context_length : tokens of a caption; None for a model that reads none
    """

    objective: str
    image_size: int
    build: Callable[..., nn.Module]
    features: Callable[[nn.Module], Features]
    context_length: int | None = None


def load(name: str, image_size: int | None = None) -> Architecture:
    """Return an architecture by its name, such as `resnet-mini` or `timm/resnet50`.

    Parameters
    ----------
    name : a file here, or `<library>/<model>`
    image_size : side of the model's input, in pixels; by default, what its own configuration says

    Raises
    ------
    UserError
        If there is no such file or library, or the library has no such model, with the nearest that it has.
    """
    _, slash, model = name.partition("/")
    objective = plugins.architecture_objective(name)
    if objective is None:
        allowed = ", ".join([*plugins.architectures(), *(f"{key}/<model>" for key in plugins.LIBRARIES)])
        raise UserError(f"architecture '{name}' does not exist; allowed are {allowed}.")
    module = importlib.import_module(plugins.architecture_file(name).removesuffix(".py").replace("/", "."))
    features = getattr(module, "features", _FEATURES[objective])
    if not slash:
        size, length = image_size or module.IMAGE_SIZE, getattr(module, "CONTEXT_LENGTH", None)
        return Architecture(objective, size, lambda classes, drop_path=0.0: module.build(classes), features, length)
    module.require(model)
    size = image_size or module.image_size(model)
    length = module.context_length(model) if objective == "contrastive" else None

    def build(num_classes: int, drop_path: float = 0.0) -> nn.Module:
        return module.build(model, num_classes, size, drop_path)

    return Architecture(objective, size, build, features, length)


def of_recipe(recipe: Recipe) -> Architecture:
    """Return a recipe's architecture, for images as it prepares them."""
    return load(recipe.architecture, recipe.image_transform and recipe.image_transform.size)


def feature_function(model: nn.Module, architecture: Architecture) -> Features:
    """Return what turns normalised images [B, 3, H, W] into features [B, D], as the papers define them.

    Supervised: pooled, before the classifier. CLIP: the projected image embedding, un-normalised.
    """
    return architecture.features(model)


def refuse(name: str, why: str, known: list[str]) -> UserError:
    """Return the error for a library's model, by its whole name, with the nearest of those that can be built."""
    library = name.partition("/")[0]
    meant = nearest(name.partition("/")[2], known)
    hint = f" Did you mean '{library}/{meant}'?" if meant else ""
    return UserError(f"architecture '{name}' {why}.{hint} See `recipes` in docs/config.md.")
