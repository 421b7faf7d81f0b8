"""The configuration model: the single source of `config.yaml`'s keys, their defaults, schema and reference page."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from nml.config.defaults import MAX_CORRUPT_SHARE
from nml.config.recipes import Recipe
from nml.config.strict import Strict
from nml.config.zoo import EXAMPLE, ReleasedModel
from nml.errors import UserError
from nml.grid import Noise

# Recipe names become folders, so they must not hold a slash.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]

# Nothing that a shell or a page would take for more than text.
Title = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._,:()+-]*$", max_length=100)]

Watch = Literal["tensorboard", "wandb"]


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


WholePercent = Annotated[int, Field(ge=1, le=100, strict=True)]


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
    validate_on: Annotated[str | None, Field(examples=["imagenet1k"])] = None
    """Corpus with the labelled validation images of the learning curves; by default `corpus`, if that has some."""


def _is_list(value: object) -> str:
    return "several" if isinstance(value, list) else "one"


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
# With tags, a wrong value is told as one problem and not as one for each alternative.
Rates = Annotated[
    Annotated[Positive, Tag("one")] | Annotated[list[Positive], Field(min_length=1), Tag("several")],
    Discriminator(_is_list),
]
Decays = Annotated[
    Annotated[NotNegative, Tag("one")] | Annotated[list[NotNegative], Field(min_length=1), Tag("several")],
    Discriminator(_is_list),
]


class Method(BaseModel):
    """A tuning method's hyper-parameters: the common ones here, and those that the method's own file declares.

    Where one has a list of values (learning rate, weight decay, or an own one), all are tried, together with those of
    the other lists, and the best mean validation accuracy over the tuning seeds decides.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    method: Annotated[str | None, Field(examples=["nmtune"])] = None
    """The method of which this is a variant, or the path of your own file (`.py`); without it, the entry's name."""
    learning_rate: Annotated[Rates | None, Field(examples=[0.001])] = None
    """Peak learning rate of AdamW, with a cosine to zero. Every trained method needs one."""
    weight_decay: Annotated[Decays, Field(examples=[0.0001])] = 0.0
    """Decoupled weight decay."""
    epochs: Annotated[int, Field(ge=1, strict=True, examples=[30])] = 30
    """Passes over the task's training features."""
    batch_size: Annotated[int, Field(ge=2, strict=True, examples=[64])] = 64
    """Samples per optimiser step."""
    views: Annotated[int | None, Field(ge=1, strict=True, examples=[2])] = None
    """Of how many views of each training image this method draws, if not of as many as `views` says for all."""


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

    name: Annotated[Title, Field(examples=["mini"])]
    """A name for the run, shown in the report: letters, digits, spaces and `._,:()+-`."""
    pretraining: Annotated[list[Pretraining], Field(default_factory=list, examples=[[_FAMILY]])]
    """The encoders to pre-train; may be empty where `zoo` is not."""
    recipes: Annotated[dict[Name, Recipe], Field(default_factory=dict, examples=[{"resnet-mini": _RECIPE}])]
    """Pre-training recipes by name; the shipped ones need not be listed."""
    zoo: Annotated[dict[Name, ReleasedModel], Field(default_factory=dict, examples=[{"swin-large-in22k": EXAMPLE}])]
    """Encoders that others have released, by a name of your own; their addresses are `zoo/<name>/released/s0`."""
    tasks: Annotated[list[str], Field(min_length=1, examples=[["handwritten-digits"]])]
    """Downstream tasks: names in `nml/tasks/catalogue.yaml`, with label noise as `<name>+symmetric-20`."""
    methods: Annotated[dict[Name, Method], Field(min_length=1, examples=[{"lp": {"learning_rate": 0.1}}])]
    """Tuning methods: names of files in `nml/tuning/methods/` or of variants of them, with their hyper-parameters."""
    fractions: Annotated[tuple[WholePercent, ...], Field(min_length=1, examples=[[10, 25, 50, 75, 100]])] = (100,)
    """Percents of each task's training samples, per class, to tune on; each has its rows in every cell."""
    views: Annotated[int, Field(ge=1, strict=True, examples=[1])] = 1
    """Views of each training image that features hold: the image itself, and randomly cropped and mirrored copies."""
    seeds: Annotated[int, Field(ge=1, strict=True, examples=[3])] = 3
    """Number of tuning seeds in each cell."""
    noise_seed: Annotated[int, Field(ge=0, strict=True, examples=[0])] = 0
    """Seed of the noise; another one corrupts other samples."""
    max_corrupt_share: Annotated[float, Field(ge=0, lt=1, examples=[0.001])] = MAX_CORRUPT_SHARE
    """Share of a corpus' images that may be corrupt: they are passed over, counted and listed; more stop a training."""
    percent_of: Annotated[Literal["corpus", "group"], Field(examples=["corpus"])] = "corpus"
    """What the percents of noise inside groups of classes count: all samples, or those of the groups alone."""
    watch: Annotated[list[Watch], Field(default_factory=list, examples=[["tensorboard"]])]
    """Where pre-training can be followed as it goes; `wandb` needs its package. No reason to run anything again."""
