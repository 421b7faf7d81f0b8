"""From an encoder's address to a frozen module that turns images into features."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from nml.artifacts import sha256_file
from nml.devices import choose_device
from nml.errors import UserError
from nml.grid import Encoder, encoder_dir
from nml.pretraining import architectures
from nml.pretraining.checkpoints import load_tensors, read_header
from nml.pretraining.images import normalise


@dataclass(frozen=True)
class LoadedEncoder:
    """A frozen encoder: `features(transform(images))`, for uint8 images [B, 3, H, W], is float32 [B, width]."""

    address: str
    module: nn.Module
    transform: Callable[[torch.Tensor], torch.Tensor]
    features: Callable[[torch.Tensor], torch.Tensor]


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
    module = module.eval().requires_grad_(False).to(choose_device(), memory_format=torch.channels_last)
    return LoadedEncoder(
        address=address,
        module=module,
        transform=partial(normalise, size=header["preprocessing"]["size"]),
        features=architectures.feature_function(module, architecture),
    )
