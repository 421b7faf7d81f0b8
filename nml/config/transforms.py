"""How photographs become the input of a model: crops, random changes and normalisation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nml.config.strict import Strict

Share = Annotated[float, Field(gt=0, le=1)]
Level = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0)]


def _ascend(scale: tuple[float, float]) -> tuple[float, float]:
    if scale[0] > scale[1]:
        raise ValueError("the smallest share first, then the largest")
    return scale


class ImageTransform(Strict):
    """From a photograph of any size to the model's input; the random changes are drawn anew for each view."""

    size: Annotated[int, Field(ge=8, strict=True, examples=[224])]
    """Side of the training crop, in pixels."""
    crop_scale: Annotated[tuple[Share, Share], AfterValidator(_ascend), Field(examples=[[0.08, 1.0]])] = (0.08, 1.0)
    """Smallest and largest share of the image's area that the random training crop takes."""
    interpolation: Annotated[Literal["bilinear", "bicubic"], Field(examples=["bicubic"])] = "bicubic"
    """How images are resized, in training and after it."""
    flip: Annotated[bool, Field(examples=[True])] = True
    """Mirror half of the training images left to right."""
    rand_augment: Annotated[str | None, Field(pattern=r"^rand(-[a-z0-9.]+)*$", examples=["rand-m7-mstd0.5-inc1"])] = (
        None
    )
    """RandAugment of the training images, in timm's notation; none without it."""
    test_size: Annotated[int | None, Field(ge=8, strict=True, examples=[224])] = None
    """Side of the centre crop after training, in pixels; that of training if not given."""
    test_crop: Annotated[Share, Field(examples=[0.95])] = 0.95
    """Share of the resized image's side that the centre crop keeps (timm's `crop_pct`)."""
    mean: Annotated[tuple[Level, Level, Level], Field(examples=[[0.485, 0.456, 0.406]])] = (0.485, 0.456, 0.406)
    """Mean of each colour channel, of values between 0 and 1; the default is ImageNet's."""
    std: Annotated[tuple[Spread, Spread, Spread], Field(examples=[[0.229, 0.224, 0.225]])] = (0.229, 0.224, 0.225)
    """Standard deviation of each colour channel; the default is ImageNet's."""
