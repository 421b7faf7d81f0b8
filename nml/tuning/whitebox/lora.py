"""Low-rank adapters (LoRA, Hu et al. 2022) in any encoder, with peft.

Layers are chosen by their types among those that run when the encoder makes features, whatever their names. So layers
whose weights are only read (the projections inside `torch.nn.MultiheadAttention` or CLIP's attention pool), text towers
and classifiers get no adapter that would never learn.
"""

from collections.abc import Iterable
from contextlib import ExitStack

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional

from nml.encoders import LoadedEncoder
from nml.errors import UserError
from nml.tuning.whitebox.images import blank_input

PARAMETERS = {"rank": 8, "alpha": 8.0, "targets": "auto"}
BOUNDS = {"rank": (0, None), "alpha": (0, None)}
CHOICES = {"targets": ("auto", "attention", "mlp", "convolution", "all")}


class OpenAttention(nn.Module):
    """`torch.nn.MultiheadAttention` with its four projections as layers that run, so that each can have an adapter.

    peft's own adapter for it adds to the weights before each forward and subtracts after it, and so the frozen weights
    drift by rounding errors.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads, self.batch_first = attention.num_heads, attention.batch_first
        weights, biases = attention.in_proj_weight.chunk(3), (None,) * 3
        if attention.in_proj_bias is not None:
            biases = attention.in_proj_bias.chunk(3)
        self.query, self.key, self.value = map(_linear, weights, biases)
        self.out = _linear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Return what the attention gives, and no weights; [B, L, D], or [L, B, D] where it was not `batch_first`."""
        inputs = (self.query(query), self.key(key), self.value(value))
        mixed = functional.scaled_dot_product_attention(*map(self._split, inputs), attn_mask=attn_mask)
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.out(mixed if self.batch_first else mixed.transpose(0, 1)), None

    def _split(self, tokens: Tensor) -> Tensor:
        """Return the heads of tokens: [B, heads, L, D / heads]."""
        batched = tokens if self.batch_first else tokens.transpose(0, 1)
        return batched.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


def add_adapters(encoder: LoadedEncoder, rank: int, alpha: float, targets: str, seed: int) -> None:
    """Put adapters of a rank into an encoder, in place, scaled by alpha / rank; they alone require gradients.

    They begin as the zero map. With rank 0 there are none, and the encoder stays as it is.

    Raises
    ------
    UserError
        If no layer of the encoder is of the kind that `targets` names.
    """
    if rank == 0:
        return
    _open_attention(encoder.module)
    names = find_targets(encoder, targets)
    # peft takes a list of names for suffixes, and a text for a pattern of whole names; these have dots alone.
    pattern = "|".join(name.replace(".", r"\.") for name in names)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern, lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, encoder.module)


def find_targets(encoder: LoadedEncoder, targets: str) -> list[str]:
    """Return the names of the layers that get adapters, in the order of the module.

    Parameters
    ----------
    encoder : LoadedEncoder
    targets : str
        `attention`: linear layers inside attention blocks; `mlp`: all other linear layers; `convolution`: convolutions
        that are not grouped; `all` of them; `auto`: convolutions where most layers are, else attention and mlp.

    Raises
    ------
    UserError
        If there is none.
    """
    kinds = _kinds(encoder.module, _layers_that_run(encoder))
    wanted = {"all": {"attention", "mlp", "convolution"}, "auto": _usual(list(kinds.values()))}.get(targets, {targets})
    names = [name for name, kind in kinds.items() if kind in wanted]
    if not names:
        there = ", ".join(dict.fromkeys(kinds.values())) or "none"
        raise UserError(
            f"LoRA finds no layer for targets '{targets}' in encoder {encoder.address}, which has: {there}. "
            "Set targets to one of these, or to auto."
        )
    return names


def _usual(kinds: list[str]) -> set[str]:
    """Return the kinds that `auto` means: a vision transformer has one convolution, a ResNet at most a linear layer."""
    if 2 * kinds.count("convolution") > len(kinds):
        return {"convolution"}
    return {"attention", "mlp"}


def _kinds(module: nn.Module, layers: Iterable[str]) -> dict[str, str]:
    found = dict(module.named_modules())
    return {name: kind for name in layers if (kind := _kind(found, name))}


def _kind(modules: dict[str, nn.Module], name: str) -> str | None:
    layer = modules[name]
    if isinstance(layer, nn.Conv2d):
        # peft's adapters for grouped convolutions need a rank that the groups divide.
        return "convolution" if layer.groups == 1 else None
    # Only the module right around it: a whole transformer block may be called an attention block.
    around = type(modules[name.rpartition(".")[0]]).__name__.lower()
    return "attention" if "attention" in around else "mlp"


def _layers_that_run(encoder: LoadedEncoder) -> list[str]:
    """Return the names of the linear and convolutional layers that one image passes, in the order of the module."""
    layers = {m: name for name, m in encoder.module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    ran: set[nn.Module] = set()
    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(lambda module, inputs: ran.add(module)))
        with torch.no_grad():
            encoder.features(blank_input(encoder))
    return [name for layer, name in layers.items() if layer in ran]


def _open_attention(module: nn.Module) -> None:
    """Replace every `MultiheadAttention` that can be written as four projections, in place."""
    for name, child in list(module.named_modules()):
        if type(child) is nn.MultiheadAttention and _can_open(child):
            outer, _, own = name.rpartition(".")
            setattr(module.get_submodule(outer), own, OpenAttention(child))


def _can_open(attention: nn.MultiheadAttention) -> bool:
    plain = attention.bias_k is None and attention.bias_v is None and not attention.add_zero_attn
    return plain and attention.in_proj_weight is not None


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(*reversed(weight.shape), bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer
