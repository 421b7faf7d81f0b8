"""From an encoder's address to a frozen module that turns images into features."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from nml.artifacts import sha256_file
from nml.devices import choose_device
from nml.errors import UserError
from nml.grid import Encoder, encoder_dir
from nml.pretraining import architectures
from nml.pretraining.checkpoints import load_tensors, read_header
from nml.pretraining.inputs import Images, input_transform


@dataclass(frozen=True)
class LoadedEncoder:
    """A frozen encoder: `features(transform(images))` is float32 [B, width].

    Attributes
    ----------
    address : str
        `<corpus>/<recipe>/<noise>/s<seed>`.
    module : nn.Module
        The whole model, with its head or text tower, in evaluation mode, on the device.
    transform : callable
        Prepares uint8 images for the model: a tensor [B, 3, H, W], or arrays [H, W, 3] of any sizes.
    features : callable
        Prepared images to features.
    """

    address: str
    module: nn.Module
    transform: Callable[[Images], torch.Tensor]
    features: Callable[[torch.Tensor], torch.Tensor]

    @cached_property
    def width(self) -> int:
        """Number of features, found by passing one image through the model."""
        device = next(self.module.parameters()).device
        with torch.inference_mode():
            return self.features(self.transform(torch.zeros(1, 3, 32, 32, dtype=torch.uint8, device=device))).shape[1]


def checkpoint_path(address: str, root: Path = Path()) -> Path:
    """Return `<root>/results/encoders/<address>/model.safetensors`.

    Raises
    ------
    UserError
        If the address is malformed or the checkpoint is not there.
    """
    checkpoint = root / encoder_dir(Encoder.parse(address)) / "model.safetensors"
    if not checkpoint.is_file():
        raise UserError(f"the encoder {checkpoint} is not there. Make it: snakemake --cores 1 {checkpoint}")
    return checkpoint


def identify(address: str, root: Path = Path()) -> dict[str, str]:
    """Name what an encoder's features depend on, its checkpoint and its transform, without building the model."""
    checkpoint = checkpoint_path(address, root)
    transform = json.dumps(read_header(checkpoint)["preprocessing"], sort_keys=True)
    return {"checkpoint": sha256_file(checkpoint), "transform": transform}


def load(address: str, root: Path = Path()) -> LoadedEncoder:
    """Load an encoder by its address, in evaluation mode, on the device; raise what `checkpoint_path` raises."""
    tensors, header = load_tensors(checkpoint_path(address, root))
    architecture = architectures.load(header["architecture"], header["image_size"])
    module = architecture.build(header["num_classes"])
    module.load_state_dict(tensors)
    device = choose_device()
    module = module.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return LoadedEncoder(
        address=address,
        module=module,
        transform=input_transform(header["preprocessing"], device),
        features=architectures.feature_function(module, architecture),
    )
