"""Checks of the keys of one recipe against each other, and of its architecture's name."""

import re
from collections.abc import Iterator

from nml import plugins
from nml.config.problems import Location, Problem, mismatch, one_of
from nml.config.recipes import Recipe

# Names of library models are checked without importing the library; these are all the characters they have.
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# What only labels can be trained with, and its value that leaves it out.
SUPERVISED_ONLY = {
    "loss": "cross-entropy",
    "bce_threshold": None,
    "label_smoothing": 0,
    "drop_path": 0,
    "mixup": 0,
    "cutmix": 0,
    "repeated_augmentation": 1,
}


def recipe_problems(here: Location, recipe: Recipe) -> Iterator[Problem]:
    """Yield every pair of values in a recipe that do not go together."""
    yield from _architecture(here, recipe)
    yield from _supervision(here, recipe)
    yield from _schedule(here, recipe)
    yield from _images(here, recipe)
    if (recipe.micro_batch_size or 0) > recipe.batch_size:
        given = f"{recipe.micro_batch_size} samples at once are more than the batch of {recipe.batch_size}."
        yield Problem((*here, "micro_batch_size"), given, f"a number up to {recipe.batch_size}", "null")


def _architecture(here: Location, recipe: Recipe) -> Iterator[Problem]:
    here, name = (*here, "architecture"), recipe.architecture
    fitting = [key for key in plugins.architectures() if plugins.architecture_objective(key) == recipe.objective]
    libraries = [key for key, objective in plugins.LIBRARIES.items() if objective == recipe.objective]
    choices = [*fitting, *(f"{library}/<model>" for library in libraries)]
    library, slash, model = name.partition("/")
    serves = plugins.architecture_objective(name)
    if slash and library not in plugins.LIBRARIES:
        yield one_of(here, "the library", library, plugins.LIBRARIES)
    elif slash and not MODEL_NAME.fullmatch(model):
        yield mismatch(here, f"'{model}' cannot be the name of a model: no weights are loaded, so no tag.", choices)
    elif not slash and serves is None:
        yield one_of(here, "the architecture", name, choices)
    elif serves != recipe.objective:
        yield mismatch(here, f"'{name}' serves {serves} recipes, and this one is {recipe.objective}.", choices)


def _supervision(here: Location, recipe: Recipe) -> Iterator[Problem]:
    if recipe.objective == "contrastive":
        for key, none in SUPERVISED_ONLY.items():
            if getattr(recipe, key) != none:
                given = f"{_yaml(getattr(recipe, key))} needs labels, and a contrastive recipe learns from captions."
                yield Problem((*here, key), given, f"{_yaml(none)}, or leave it out", _yaml(none))
        return
    if recipe.bce_threshold is not None and recipe.loss != "bce":
        yield Problem((*here, "bce_threshold"), f"the loss is {recipe.loss}.", "null, or loss: bce", "null")
    if recipe.drop_path and not recipe.architecture.startswith("timm/"):
        given = f"'{recipe.architecture}' is built without stochastic depth."
        yield Problem((*here, "drop_path"), given, "0, or a timm architecture", "0")


def _yaml(value: str | int | None) -> str:
    return "null" if value is None else str(value)


def _schedule(here: Location, recipe: Recipe) -> Iterator[Problem]:
    if recipe.warmup_steps is None and recipe.warmup_epochs >= recipe.epochs:
        given = f"the warm-up of {recipe.warmup_epochs:g} epochs leaves nothing of the {recipe.epochs} epochs."
        yield Problem((*here, "warmup_epochs"), given, f"a number from 0, less than {recipe.epochs}", "0")
    if recipe.min_learning_rate > recipe.learning_rate:
        given = f"{recipe.min_learning_rate:g} is above the learning rate of {recipe.learning_rate:g}."
        yield Problem((*here, "min_learning_rate"), given, f"a number up to {recipe.learning_rate:g}", "0")
    milestones = recipe.milestones
    if bool(milestones) != (recipe.schedule == "step"):
        given = f"{list(milestones)} with the schedule '{recipe.schedule}'."
        yield Problem((*here, "milestones"), given, "epochs with the schedule 'step', none with another", "[30, 60]")
    elif list(milestones) != sorted(set(milestones)) or any(epoch >= recipe.epochs for epoch in milestones):
        given = f"{list(milestones)} was given."
        yield Problem((*here, "milestones"), given, f"epochs in ascending order, each before {recipe.epochs}", "[1]")


def _images(here: Location, recipe: Recipe) -> Iterator[Problem]:
    if recipe.image_transform and "augmentation" in recipe.model_fields_set:
        given = "image_transform takes the place of it."
        yield Problem((*here, "augmentation"), given, "one of the two; leave this one out")
