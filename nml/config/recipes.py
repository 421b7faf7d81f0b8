"""How an encoder is pre-trained: every hyper-parameter, with its bounds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Decay = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """A block of the configuration: unknown keys, infinity and NaN are refused; docstrings become the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Augmentation(Strict):
    """Random changes to each training image, drawn anew in every epoch."""

    min_scale: Annotated[float, Field(gt=0, le=1, examples=[0.6])] = 0.6
    """Smallest side of the random crop, as a share of the image's side; 1 keeps the whole image."""
    rotation: Annotated[float, Field(ge=0, le=180, examples=[15])] = 0
    """Largest rotation, in degrees, either way."""
    flip: Annotated[bool, Field(examples=[True])] = True
    """Mirror half of the images left to right."""
    brightness: Annotated[float, Field(ge=0, le=1, examples=[0.3])] = 0
    """Largest relative change of brightness and contrast."""
    grayscale: Annotated[float, Field(ge=0, le=1, examples=[0.2])] = 0
    """Share of the images that lose their colour."""
    invert: Annotated[float, Field(ge=0, le=1, examples=[0.2])] = 0
    """Share of the images that are turned into their negative."""


class Recipe(Strict):
    """One way to pre-train an encoder: objective, architecture, optimiser, schedule, augmentation."""

    objective: Annotated[Literal["supervised", "contrastive"], Field(examples=["supervised"])]
    """`supervised` learns the labels; `contrastive` learns to match images and captions (CLIP)."""
    architecture: Annotated[str, Field(examples=["resnet-mini"])]
    """Name of a file in `nml/pretraining/architectures/`."""
    epochs: Annotated[int, Field(ge=1, strict=True, examples=[12])]
    """Passes over the training shards."""
    batch_size: Annotated[int, Field(ge=2, strict=True, examples=[128])]
    """Samples per optimiser step."""
    learning_rate: Annotated[float, Field(gt=0, examples=[0.002])]
    """Peak learning rate of AdamW; it follows a cosine to zero after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, examples=[0.05])] = 0.05
    """Decoupled weight decay; biases, norms and scalars have none."""
    betas: Annotated[tuple[Decay, Decay], Field(examples=[[0.9, 0.98]])] = (0.9, 0.999)
    """AdamW's decay rates of the two moments."""
    warmup_epochs: Annotated[float, Field(ge=0, examples=[1])] = 1
    """Length of the linear warm-up, in epochs; shorter than `epochs`."""
    gradient_clip: Annotated[float, Field(gt=0, examples=[1.0])] = 1.0
    """Largest norm of the gradient of all parameters."""
    augmentation: Annotated[Augmentation, Field(examples=[{"rotation": 15}])] = Augmentation()
    """Random changes to the training images."""
