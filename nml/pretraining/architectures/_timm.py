"""Every image classifier of timm, such as `timm/resnet50`; features are pooled, before the classifier."""

import timm
from torch import nn

from nml.errors import UserError
from nml.pretraining.architectures import refuse


def require(model: str) -> None:
    """Raise `UserError` if timm has no such model."""
    if not timm.is_model(model):
        raise refuse(f"timm/{model}", "is no model of timm", timm.list_models())


def image_size(model: str) -> int:
    """Return the side of the input, in pixels, that timm's configuration of the model names."""
    return timm.get_pretrained_cfg(model).input_size[-1]


def build(model: str, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Return the model; one whose input has a fixed size, such as a ViT, is built for `image_size` pixels."""
    options = {"drop_path_rate": drop_path} if drop_path else {}
    if timm.get_pretrained_cfg(model).fixed_input_size:
        options["img_size"] = image_size
    try:
        return timm.create_model(model, pretrained=False, num_classes=num_classes, **options)
    except TypeError as error:
        given = ", ".join(f"{key} {value}" for key, value in options.items())
        raise UserError(f"architecture 'timm/{model}' cannot be built with {given}: {error}.") from None
