"""The configuration model: the single source of `config.yaml`'s keys, their defaults, schema and reference page."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nml.config.recipes import Recipe
from nml.config.strict import Strict
from nml.errors import UserError
from nml.grid import Noise

# Recipe names become folders, so they must not hold a slash.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


def _have_an_address(percent: float) -> float:
    """Refuse what the address of an encoder would round: its files would not say how much noise it saw."""
    try:
        address = Noise.parse(str(Noise("any", percent)))
    except UserError:
        address = None
    if address != Noise("any", percent):
        raise ValueError("at least 0.0001, with at most 6 digits: it becomes part of the files' names")
    return percent


Percent = Annotated[float, Field(gt=0, lt=100, examples=[20]), AfterValidator(_have_an_address)]


class Pretraining(Strict):
    """One family of encoders: a corpus and a recipe, for each noise ratio and seed. The clean one is always made."""

    corpus: Annotated[str, Field(examples=["emoji"])]
    """Name of a corpus in `nml/corpora/catalogue.yaml`."""
    recipe: Annotated[str, Field(examples=["resnet-mini"])]
    """Name of a recipe under `recipes`, or of a shipped one."""
    noise: Annotated[dict[str, list[Percent]], Field(default_factory=dict, examples=[{"symmetric": [5, 10, 20, 30]}])]
    """Noise kinds, each with its percents of corrupted samples."""
    seeds: Annotated[int, Field(ge=1, strict=True, examples=[1])] = 1
    """Number of pre-training seeds; the noise is the same for all of them."""


class Method(BaseModel):
    """A tuning method's hyper-parameters: the common ones here, and those that the method's own file declares."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    learning_rate: Annotated[float | None, Field(gt=0, examples=[0.001])] = None
    """Peak learning rate of AdamW, with a cosine to zero. Every trained method needs one."""
    weight_decay: Annotated[float, Field(ge=0, examples=[0.0001])] = 0.0
    """Decoupled weight decay."""
    epochs: Annotated[int, Field(ge=1, strict=True, examples=[30])] = 30
    """Passes over the task's training features."""
    batch_size: Annotated[int, Field(ge=2, strict=True, examples=[64])] = 64
    """Samples per optimiser step."""


_FAMILY = {"corpus": "emoji", "recipe": "resnet-mini", "noise": {"symmetric": [5, 10, 20, 30]}}
_RECIPE = {
    "objective": "supervised",
    "architecture": "resnet-mini",
    "epochs": 12,
    "batch_size": 128,
    "learning_rate": 0.002,
}


class Config(Strict):
    """What to run: which encoders, on which tasks, with which methods."""

    name: Annotated[str, Field(min_length=1, examples=["mini"])]
    """A name for the run, shown in the report."""
    pretraining: Annotated[list[Pretraining], Field(min_length=1, examples=[[_FAMILY]])]
    """The encoders to pre-train."""
    recipes: Annotated[dict[Name, Recipe], Field(default_factory=dict, examples=[{"resnet-mini": _RECIPE}])]
    """Pre-training recipes by name; the shipped ones need not be listed."""
    tasks: Annotated[list[str], Field(min_length=1, examples=[["handwritten-digits"]])]
    """Downstream tasks: names in `nml/tasks/catalogue.yaml`, with label noise as `<name>+symmetric-20`."""
    methods: Annotated[dict[str, Method], Field(min_length=1, examples=[{"lp": {"learning_rate": 0.1}}])]
    """Tuning methods: names of files in `nml/tuning/methods/`, each with its hyper-parameters."""
    seeds: Annotated[int, Field(ge=1, strict=True, examples=[3])] = 3
    """Number of tuning seeds in each cell."""
    noise_seed: Annotated[int, Field(ge=0, strict=True, examples=[0])] = 0
    """Seed of the noise; another one corrupts other samples."""
    percent_of: Annotated[Literal["corpus", "group"], Field(examples=["corpus"])] = "corpus"
    """What the percents of noise inside groups of classes count: all samples, or those of the groups alone."""
