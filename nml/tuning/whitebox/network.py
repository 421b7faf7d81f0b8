"""An encoder under tuning with its linear head: what of it is trained, and what it starts from."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from nml.artifacts import atomic_path, full_disk_named
from nml.encoders import LoadedEncoder
from nml.plugins import tuning_method
from nml.seeds import derive_seed
from nml.tuning.engine import fit
from nml.tuning.heads import initialise, linear
from nml.tuning.specs import HeadSpec
from nml.tuning.whitebox.images import Images, blank_input

if TYPE_CHECKING:
    from nml.tuning.whitebox.run import Tuning

PROBE = {"learning_rate": 0.1, "weight_decay": 0.0, "epochs": 30, "batch_size": 64}
"""The linear probe that a head may start from: the paper's."""


class Network:
    """An encoder under tuning and its linear head.

    `state_dict` and `load_state_dict` are about what training changes, and not about frozen weights.
    """

    def __init__(self, run: "Tuning", seed: int) -> None:
        self.encoder = run.open_encoder()
        self.device = next(self.encoder.module.parameters()).device
        self.bfloat16 = run.parameters["precision"] == "bf16"
        _unfreeze(run, self.encoder, seed)
        self.trained = [p for p in self.encoder.module.parameters() if p.requires_grad]
        self.norms = _batch_norms(self.encoder.module) if run.parameters["batch_norm"] == "trained" else {}
        self.features = torch.compile(self.encoder.features) if run.parameters["compile"] else self.encoder.features
        head = _initial_head(run, self.encoder, seed)
        self.weight, self.bias = (head[name].to(self.device).requires_grad_() for name in ("weight", "bias"))

    @property
    def head(self) -> list[Tensor]:
        return [self.weight, self.bias]

    @property
    def trainable_parameters(self) -> int:
        return sum(tensor.numel() for tensor in [*self.trained, *self.head])

    def encode(self, images: Tensor, training: bool = False, remember: bool = True) -> Tensor:
        """Return features float32 [B, D] of images [B, 3, S, S].

        In training, batch norms that are trained normalise by these images, and remember their statistics or not.
        """
        for norm, momentum in self.norms.items():
            # One image has no variance where its feature map is one pixel.
            norm.train(training and len(images) > 1)
            norm.momentum = momentum if remember else 0.0
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return self.features(images).float()

    def logits(self, features: Tensor) -> Tensor:
        """Return logits [B, C] of features [B, D]."""
        return torch.addmm(self.bias, features, self.weight)

    def state_dict(self) -> dict[str, Tensor]:
        named = {f"encoder.{n}": p.detach() for n, p in self.encoder.module.named_parameters() if p.requires_grad}
        if self.norms:
            named |= {f"encoder.{name}": buffer for name, buffer in self.encoder.module.named_buffers()}
        return named | {"head.weight": self.weight.detach(), "head.bias": self.bias.detach()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            tensor.copy_(tensors[name])


def _unfreeze(run: "Tuning", encoder: LoadedEncoder, seed: int) -> None:
    """Let those parameters of the encoder learn that the method trains and that the features depend on."""
    if tuning_method(run.method).encoder == "lora":
        from nml.tuning.whitebox.lora import add_adapters

        own = {name: run.parameters[name] for name in ("rank", "alpha", "targets")}
        add_adapters(encoder, **own, seed=derive_seed(seed, "adapters"))
        return
    parameters = [p for p in encoder.module.parameters() if p.is_floating_point()]
    for parameter in parameters:
        parameter.requires_grad_()
    with torch.enable_grad():
        gradients = torch.autograd.grad(encoder.features(blank_input(encoder)).sum(), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)


def _batch_norms(module: nn.Module) -> dict[nn.Module, float | None]:
    """Return the batch norms of a module, with the momentum of each."""
    return {part: part.momentum for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)}


def _initial_head(run: "Tuning", encoder: LoadedEncoder, seed: int) -> dict[str, Tensor]:
    """Return `weight` [D, C] and `bias` [C]: those that a linear probe starts from, or that it ends with."""
    if run.parameters["initial_head"] == "linear-probe":
        return _linear_probe(run, seed)
    values = initialise(linear, encoder.width, run.images.num_classes, [{}], [seed])
    return {"weight": values["weight"][0], "bias": values["bias"][0, 0]}


def _linear_probe(run: "Tuning", seed: int) -> dict[str, Tensor]:
    """Return the head of a linear probe on the frozen features."""
    train, validation = run.images.train, run.images.validation
    features = [
        _frozen_features(run, train, f"train-{run.fraction}", are_whole=True),
        _frozen_features(run, validation, "val", are_whole=False),
    ]
    heads = fit(
        features[0],
        train.labels,
        features[1],
        validation.labels,
        run.images.num_classes,
        [HeadSpec("lp", seed, **PROBE)],
        device=str(_device(run)),
        label=f"{run.label} linear probe",
    )
    parameters = heads.stacks[0].parameters
    return {"weight": parameters["weight"][0].detach().clone(), "bias": parameters["bias"][0, 0].detach().clone()}


@torch.no_grad()
def _frozen_features(run: "Tuning", split: Images, name: str, are_whole: bool) -> np.ndarray:
    """Return features float32 [N, D] of the encoder as it was, in a mapped file: those of a large task fill memory.

    They are computed once for all seeds.
    """
    made_from = hashlib.sha256(f"{run.fingerprint} {run.parameters['crop_scale']}".encode()).hexdigest()[:16]
    file = run.progress_dir / "probe" / f"{name}-{made_from}.float32"
    if not file.is_file():
        # Written, not mapped: a full disk would end a process that fills mapped pages without a word.
        with full_disk_named(file.parent), atomic_path(file) as temporary, temporary.open("wb") as out:
            for images in split.batches(run.views, are_whole):
                out.write(np.ascontiguousarray(run.original.features(images).float().cpu().numpy()))
    return np.memmap(file, np.float32, "r").reshape(len(split.labels), -1)


def _device(run: "Tuning") -> torch.device:
    return next(run.original.module.parameters()).device
