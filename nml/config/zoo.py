"""Encoders that others have released: which model, whose weights, and how it takes images."""

from typing import Annotated, Literal

from pydantic import Field

from nml.config.strict import Strict
from nml.config.transforms import Level, Share, Spread

EXAMPLE = {"library": "timm", "architecture": "swin_large_patch4_window7_224", "pretrained": "ms_in22k"}


class Preprocessing(Strict):
    """What of a released model's preprocessing is other than its library says; all keys may be left out."""

    size: Annotated[int | None, Field(ge=8, strict=True, examples=[224])] = None
    """Side of the square that the model sees, in pixels."""
    crop: Annotated[Share | None, Field(examples=[0.9])] = None
    """Share of the scaled image's side that the centre crop keeps (timm's `crop_pct`)."""
    interpolation: Annotated[Literal["bilinear", "bicubic"] | None, Field(examples=["bicubic"])] = None
    """How images are scaled."""
    mean: Annotated[tuple[Level, Level, Level] | None, Field(examples=[[0.485, 0.456, 0.406]])] = None
    """Mean of each colour channel, of values between 0 and 1."""
    std: Annotated[tuple[Spread, Spread, Spread] | None, Field(examples=[[0.229, 0.224, 0.225]])] = None
    """Standard deviation of each colour channel."""


class ReleasedModel(Strict):
    """One released encoder: a model of a library with the weights of a file, or with those that the library names."""

    library: Annotated[Literal["timm", "torchvision", "open_clip"], Field(examples=["timm"])]
    """Whose model it is."""
    architecture: Annotated[str, Field(examples=["swin_large_patch4_window7_224"])]
    """Name of the model in its library, without a tag."""
    weights: Annotated[str | None, Field(pattern=r"^[\w ./+@-]+$", examples=["data/zoo/mine.safetensors"])] = None
    """File with the weights, safetensors; either this or `pretrained`."""
    pretrained: Annotated[str | None, Field(pattern=r"^\w[\w.-]*$", examples=["ms_in22k"])] = None
    """Tag of the weights in their library, fetched when they are needed; either this or `weights`."""
    checksum: Annotated[str | None, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=[f"sha256:{'0' * 64}"])] = None
    """SHA-256 of the file; another one is refused."""
    preprocessing: Annotated[Preprocessing, Field(examples=[{"size": 224}])] = Preprocessing()
    """What is other than the library says of the weights, or for a file of the model."""
