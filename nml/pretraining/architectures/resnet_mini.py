"""A ResNet with one basic block in each of its four stages, for 32-pixel images on a laptop (timm's ResNet)."""

from timm.models.resnet import BasicBlock, ResNet

OBJECTIVE = "supervised"
IMAGE_SIZE = 32


def build(num_classes: int) -> ResNet:
    """Return the model; its features are the 256 globally pooled channels before the classifier."""
    return ResNet(BasicBlock, layers=(1, 1, 1, 1), channels=(32, 64, 128, 256), stem_width=32, num_classes=num_classes)
