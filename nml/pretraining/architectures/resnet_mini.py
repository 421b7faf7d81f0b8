"""A ResNet with one basic block in each of its four stages, for 32-pixel images on a laptop (timm's ResNet)."""

from timm.models.resnet import BasicBlock, ResNet

OBJECTIVE = "supervised"
IMAGE_SIZE = 32


def build(num_classes: int) -> ResNet:
    """Return the model; its features are the 128 globally pooled channels before the classifier.

    The last stage is no wider than the one before, because tuning time grows with the width of the features.
    """
    return ResNet(
        BasicBlock,
        layers=(1, 1, 1, 1),
        channels=(32, 64, 128, 128),
        stem_width=32,
        num_classes=num_classes,
        # Zeroed residual branches would leave the untrained control without a single 3x3 convolution.
        zero_init_last=False,
    )
