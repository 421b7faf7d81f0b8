"""A ResNet with one basic block in each of its four stages, for 32-pixel images on a laptop (timm's ResNet)."""

import timm
from torch import nn

OBJECTIVE = "supervised"
IMAGE_SIZE = 32


def build(num_classes: int) -> nn.Module:
    """Return the model; its features are the 128 globally pooled channels before the classifier.

    It is made as a variant of timm's ResNet-18, so that timm alone can load an exported encoder. The last stage is no
    wider than the one before, because tuning time grows with the width of the features.
    """
    return timm.create_model(
        "resnet18",
        layers=(1, 1, 1, 1),
        channels=(32, 64, 128, 128),
        stem_width=32,
        num_classes=num_classes,
        # Zeroed residual branches would leave the untrained control without a single 3x3 convolution.
        zero_init_last=False,
    )
