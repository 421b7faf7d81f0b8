"""Small encoders of every family, and a small task of coloured images, as tuning gets them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from open_clip import CLIP
from PIL import Image
from timm.models.resnet import BasicBlock, ResNet
from torch import nn
from torchvision.models import VisionTransformer, resnet18

from nml.encoders import LoadedEncoder
from nml.pretraining.architectures import clip_mini, resnet_mini
from nml.pretraining.inputs import input_transform
from nml.tuning.whitebox.images import Images, TaskImages
from nml.tuning.whitebox.pixels import write_pixels
from nml.tuning.whitebox.results import TunedEncoder

SQUASH = {"resize": "squash", "size": 32, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}
CROP = {"resize": "crop", "size": 24, "crop": 0.9, "interpolation": "bicubic", "mean": [0.4] * 3, "std": [0.2] * 3}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}


def _pooled(module: nn.Module) -> Callable:
    return lambda images: module.forward_head(module.forward_features(images), pre_logits=True)


def _embedded(module: nn.Module) -> Callable:
    return module.encode_image


def _without_classifier(module: nn.Module) -> nn.Module:
    module.fc = nn.Identity()
    return module


def _torchvision_vit() -> nn.Module:
    module = VisionTransformer(32, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
    module.heads = nn.Identity()
    return module


def _clip(vision: dict) -> CLIP:
    return CLIP(embed_dim=16, vision_cfg={"image_size": 32, **vision}, text_cfg=TEXT)


FAMILIES = {
    "resnet-mini": (lambda: resnet_mini.build(3), _pooled),
    "clip-mini": (lambda: clip_mini.build(3), _embedded),
    "timm-resnet": (lambda: ResNet(BasicBlock, (1, 1, 1, 1), channels=(8, 8, 16, 16), stem_width=8), _pooled),
    "timm-vit": (lambda: timm.create_model("test_vit", img_size=32, patch_size=16), _pooled),
    "timm-swin": (
        lambda: timm.create_model(
            "swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=24, depths=(1, 1), num_heads=(2, 2)
        ),
        _pooled,
    ),
    "timm-convnext": (lambda: timm.create_model("test_convnext"), _pooled),
    "timm-efficientnet": (lambda: timm.create_model("test_efficientnet"), _pooled),
    "torchvision-resnet": (lambda: _without_classifier(resnet18()), lambda module: module),
    "torchvision-vit": (_torchvision_vit, lambda module: module),
    "open_clip-vit": (lambda: _clip({"layers": 2, "width": 32, "patch_size": 16, "head_width": 16}), _embedded),
    "open_clip-resnet": (lambda: _clip({"layers": (1, 1, 1, 1), "width": 8}), _embedded),
}


def make_encoder(family: str, device: str = "cpu") -> LoadedEncoder:
    """Return an encoder at its initialisation, the same each time and on every device."""
    build, features = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build().eval().requires_grad_(False)
    for name, parameter in module.named_parameters():
        # Residual branches that begin at zero would hide what is in them.
        if name.endswith("weight") and not parameter.any():
            parameter.fill_(1)
    module = module.to(device)
    return LoadedEncoder(family, module, input_transform(SQUASH, torch.device(device)), features(module))


def make_images(folder: Path, samples: int = 30) -> TaskImages:
    """Return a task of three colours in noise, 16 pixels a side, with two test sets, held in a folder."""
    random = np.random.default_rng(0)
    splits = []
    for split, count in (("train", samples), ("val", 12), ("test", 12), ("far", 9)):
        labels = np.arange(count) % 3
        pixels = random.integers(0, 150, (count, 16, 16, 3), dtype=np.uint8)
        pixels[np.arange(count), :, :, labels] += 60
        held = write_pixels(folder / f"{split}.pixels", pixels)
        splits.append(Images(held, labels, [f"{split}{i}" for i in range(count)]))
    train, validation, test, far = splits
    return TaskImages("colours", 3, train, validation, {"test": test, "far": far}, {"test": "id", "far": "ood"})


def assert_same(one: TunedEncoder, other: TunedEncoder) -> None:
    """Compare what came of two tunings, bit by bit."""
    assert (one.epoch, one.validation_accuracy) == (other.epoch, other.validation_accuracy)
    for name, split in one.tests.items():
        np.testing.assert_array_equal(split.predictions, other.tests[name].predictions)
        np.testing.assert_array_equal(split.features, other.tests[name].features)


def photographs(*sizes: tuple[int, int]) -> list[np.ndarray]:
    """Return smooth random images of these sizes (height, width)."""
    small = np.random.default_rng(0).integers(0, 255, (len(sizes), 4, 4, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(one).resize(size[::-1], 2)) for one, size in zip(small, sizes, strict=True)]
