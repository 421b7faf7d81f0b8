"""Adapters find layers to adapt in every family of encoders, begin as nothing, and alone learn."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from nml.encoders import LoadedEncoder
from nml.errors import UserError
from nml.tuning.whitebox.lora import OpenAttention, add_adapters, find_targets
from tests.tuning.whitebox.examples import FAMILIES, make_encoder

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def stirred(encoder: LoadedEncoder) -> LoadedEncoder:
    """Return the encoder with its adapters away from zero."""
    with torch.no_grad():
        for name, parameter in encoder.module.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    return encoder


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_begin_as_nothing_and_each_of_them_learns(family):
    encoder = make_encoder(family)
    before = encoder.features(IMAGES)
    add_adapters(encoder, rank=2, alpha=2, targets="auto", seed=1)
    torch.testing.assert_close(encoder.features(IMAGES), before, atol=1e-5, rtol=1e-5)
    stirred(encoder).features(IMAGES).square().sum().backward()
    trained = {name: p for name, p in encoder.module.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.values())


@pytest.mark.parametrize(
    ("family", "targets", "some", "never"),
    [
        ("timm-vit", "auto", {"blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.0.mlp.fc1"}, {"patch_embed.proj"}),
        ("timm-vit", "mlp", {"blocks.0.mlp.fc1", "blocks.0.mlp.fc2"}, {"blocks.0.attn.qkv", "head"}),
        ("timm-vit", "attention", {"blocks.0.attn.qkv"}, {"blocks.0.mlp.fc1"}),
        ("timm-vit", "all", {"patch_embed.proj", "blocks.0.mlp.fc1"}, {"head"}),
        ("timm-swin", "auto", {"layers.0.blocks.0.attn.qkv", "layers.0.blocks.0.mlp.fc1"}, {"patch_embed.proj"}),
        ("timm-resnet", "auto", {"conv1", "layer1.0.conv1", "layer2.0.conv2"}, {"fc"}),
        ("torchvision-resnet", "auto", {"conv1", "layer4.1.conv2", "layer2.0.downsample.0"}, {"fc"}),
        ("open_clip-resnet", "auto", {"visual.layer1.0.conv2"}, {"visual.attnpool.q_proj", "visual.attnpool.c_proj"}),
        ("open_clip-vit", "mlp", {"visual.transformer.resblocks.1.mlp.c_fc"}, {"transformer.resblocks.0.mlp.c_fc"}),
        ("clip-mini", "auto", {"visual.trunk.conv1.0"}, {"transformer.resblocks.0.mlp.c_fc"}),
        ("timm-convnext", "auto", {"stages.0.blocks.0.mlp.fc1"}, {"stages.0.blocks.0.conv_dw"}),
    ],
)
def test_layers_are_chosen_by_what_they_are_and_whether_they_run(family, targets, some, never):
    found = set(find_targets(make_encoder(family), targets))
    assert some <= found
    assert not never & found


@pytest.mark.parametrize("family", ["torchvision-vit", "open_clip-vit"])
def test_fused_attention_is_opened_and_computes_the_same(family):
    encoder = make_encoder(family)
    before = encoder.features(IMAGES)
    add_adapters(encoder, rank=1, alpha=1, targets="attention", seed=0)
    opened = [m for m in encoder.module.modules() if isinstance(m, OpenAttention)]
    assert len(opened) >= 2
    assert not any(isinstance(m, nn.MultiheadAttention) for m in encoder.module.modules())
    torch.testing.assert_close(encoder.features(IMAGES), before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_open_attention_is_multihead_attention(batch_first, bias):
    torch.manual_seed(0)
    fused = nn.MultiheadAttention(12, 3, bias=bias, batch_first=batch_first).eval()
    query, key, value = torch.randn(2, 5, 12), torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    mask = torch.full((5, 5), -torch.inf).triu(1) if batch_first else torch.full((2, 2), -torch.inf).triu(1)
    expected = fused(query, key, value, need_weights=False, attn_mask=mask)[0]
    torch.testing.assert_close(OpenAttention(fused)(query, key, value, attn_mask=mask)[0], expected)


@pytest.mark.parametrize(("rank", "alpha"), [(0, 8.0), (2, 0.0)])
def test_rank_zero_and_zero_scale_are_the_frozen_encoder(rank, alpha):
    frozen, adapted = make_encoder("timm-resnet"), make_encoder("timm-resnet")
    add_adapters(adapted, rank, alpha, "auto", seed=0)
    torch.testing.assert_close(stirred(adapted).features(IMAGES), frozen.features(IMAGES), rtol=0, atol=0)


def test_the_frozen_weights_never_move():
    encoder = make_encoder("open_clip-vit")
    add_adapters(encoder, rank=2, alpha=4, targets="all", seed=0)
    frozen = {name: p.clone() for name, p in stirred(encoder).module.named_parameters() if not p.requires_grad}
    for _ in range(3):
        encoder.features(IMAGES).sum().backward()
    assert all(torch.equal(p, frozen[name]) for name, p in encoder.module.named_parameters() if name in frozen)


def test_the_seed_alone_decides_the_adapters():
    def values(seed: int) -> torch.Tensor:
        encoder = make_encoder("timm-resnet")
        torch.rand(seed + 1)
        add_adapters(encoder, rank=2, alpha=2, targets="auto", seed=seed)
        return torch.cat([p.flatten() for p in encoder.module.parameters() if p.requires_grad])

    assert torch.equal(values(1), values(1))
    assert not torch.equal(values(1), values(2))


def test_targets_that_an_encoder_has_not_are_refused_with_those_that_it_has():
    with pytest.raises(UserError, match="targets 'attention' in encoder timm-resnet, which has: convolution"):
        find_targets(make_encoder("timm-resnet"), "attention")


def test_methods_on_features_do_not_import_peft():
    code = "import sys, nml.evaluation.evaluate, nml.evaluation.evaluate_encoder; sys.exit('peft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
