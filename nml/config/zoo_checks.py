"""Checks of the keys of one released model against each other."""

from collections.abc import Iterator
from pathlib import PurePath

from nml.config.problems import Location, Problem
from nml.config.recipe_checks import MODEL_NAME
from nml.config.zoo import ReleasedModel

SAFE = ".safetensors"
TO_SAFETENSORS = (
    "No pickle is loaded here, because it can run any code. Most models on the Hugging Face hub have a safetensors "
    "file beside the pickle; else convert it where you trust it: "
    "safetensors.torch.save_file(torch.load(file, weights_only=True), 'model.safetensors')."
)


def zoo_problems(here: Location, model: ReleasedModel) -> Iterator[Problem]:
    """Yield every pair of values of a released model that do not go together."""
    if not MODEL_NAME.fullmatch(model.architecture):
        yield _architecture((*here, "architecture"), model)
    if (model.weights is None) == (model.pretrained is None):
        given = "neither weights nor pretrained is there." if model.weights is None else "so is pretrained."
        allowed = "one of the two: a file (weights), or a tag of the library (pretrained)"
        yield Problem((*here, "weights"), given, allowed, f"models/mine{SAFE}")
    elif model.weights is not None and PurePath(model.weights).suffix != SAFE:
        given = f"'{model.weights}' is no safetensors file."
        yield Problem((*here, "weights"), given, f"a file that ends in {SAFE}. {TO_SAFETENSORS}", f"models/mine{SAFE}")
    elif model.pretrained is not None and model.library == "torchvision":
        given = "torchvision publishes its weights as pickles alone."
        allowed = f"weights: a safetensors file; or timm, which has many of them with tags tv_…. {TO_SAFETENSORS}"
        yield Problem((*here, "pretrained"), given, allowed, "tv_in1k, with library: timm")


def _architecture(here: Location, model: ReleasedModel) -> Problem:
    name, dot, tag = model.architecture.partition(".")
    hint = f" Did you mean architecture: {name} and pretrained: {tag}?" if dot else ""
    given = f"'{model.architecture}' cannot be the name of a model.{hint}"
    return Problem(here, given, f"a model of {model.library}: letters, digits, _ and -", name or "resnet50")
