"""From an encoder's address to a frozen module that turns images into features."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
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
        # Not in inference mode: what a module keeps of that could not be trained with.
        with torch.no_grad():
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
    """Name what an encoder's features depend on, its checkpoint and its transform, without building the model.

    Raises
    ------
    UserError
        What `checkpoint_path` raises, or if the checkpoint is damaged or not one of nml.
    """
    checkpoint = checkpoint_path(address, root)
    with damage_named(checkpoint):
        transform = json.dumps(read_header(checkpoint)["preprocessing"], sort_keys=True)
    return {"checkpoint": sha256_file(checkpoint), "transform": transform}


def load(address: str, root: Path = Path()) -> LoadedEncoder:
    """Load an encoder by its address, in evaluation mode, on the device; raise what `identify` raises."""
    checkpoint, device = checkpoint_path(address, root), choose_device()
    with damage_named(checkpoint):
        tensors, header = load_tensors(checkpoint)
        architecture = architectures.load(header["architecture"], header["image_size"])
        module = architecture.build(header["num_classes"])
        module.load_state_dict(tensors)
        transform = input_transform(header["preprocessing"], device)
    module = module.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return LoadedEncoder(
        address=address,
        module=module,
        transform=transform,
        features=architectures.feature_function(module, architecture),
    )


@contextmanager
def damage_named(checkpoint: Path) -> Iterator[None]:
    """Turn what reading a checkpoint trips over, which anybody may have written, into a `UserError` that names it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{checkpoint} cannot be loaded: {error}") from None
    # Safetensors, a wrong key or kind of value in the header, and weights of another model.
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(
            f"{checkpoint} is damaged, or is no checkpoint of nml ({type(error).__name__}: {what}). Delete it and run "
            "again, or get it from its source again."
        ) from error
