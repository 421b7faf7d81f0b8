"""The image-text contrastive objective of CLIP, with open_clip's tokenizer and loss."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from open_clip import ClipLoss
from open_clip.tokenizer import SimpleTokenizer
from torch import nn

from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.pretraining.architectures import Architecture
from nml.pretraining.micro_batches import autocast, held_back
from nml.pretraining.world import World

TARGET = "caption"
# The largest inverse temperature, as in CLIP.
MAX_LOGIT_SCALE = math.log(100)

_clip_loss = ClipLoss()
_tokenizer = SimpleTokenizer()


@lru_cache(maxsize=2**16)
def _tokens(caption: str, context_length: int) -> torch.Tensor:
    return _tokenizer(caption, context_length=context_length)[0]


def collate(targets: list[Any], context_length: int | None) -> torch.Tensor:
    """Return captions as int64 tokens [B, context length]."""
    return torch.stack([_tokens(caption, context_length) for caption in targets])


def loss(
    model: nn.Module, images: torch.Tensor, tokens: torch.Tensor, recipe: Recipe, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the symmetric InfoNCE loss and the number of images whose own caption is the nearest in the batch.

    With several processes, each image is set against the captions of all, and the sum of the processes' gradients is
    that of the whole batch; the number counts among the process' own captions.
    """
    _clamp_scale(model)
    image_features, text_features, scale = model(images, tokens)[:3]
    return _loss_of_features(image_features, text_features, scale, world)


def _clamp_scale(model: nn.Module) -> None:
    with torch.no_grad():
        getattr(model, "module", model).logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def _loss_of_features(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    nearest = (images.detach() @ texts.detach().T).argmax(dim=1)
    right = (nearest == torch.arange(len(images), device=images.device)).sum()
    if world.size == 1:
        return _clip_loss(images, texts, scale), right
    return _sharded_loss(images, texts, scale, world), right


def accumulate(
    model: nn.Module, parts: list[tuple[torch.Tensor, torch.Tensor]], recipe: Recipe, weight: float, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add up the gradients of the parts of a batch, of the loss in which each image meets the captions of all parts.

    First all features without a graph, then the gradient of the loss with respect to them, then each part again with a
    graph, into which that gradient is passed (Gao et al. 2021, arXiv 2101.06983). As open_clip's `accum_freq`, but the
    loss is computed once, so that the temperature too has the gradient of the whole batch. Parameters and result are
    those of `supervised.accumulate`.
    """
    _clamp_scale(model)
    precision, samples = autocast(recipe, parts[0][0].device), sum(len(images) for images, _ in parts)
    leaves = [feature.requires_grad_() for feature in _cached_features(model, parts, precision)]
    with precision:
        mean, right = _loss_of_features(*leaves, world)
    (mean * samples * weight).backward()
    image_gradients, text_gradients = (leaf.grad.split([len(images) for images, _ in parts]) for leaf in leaves[:2])
    for number, (images, tokens) in enumerate(parts):
        with held_back(model, last=number == len(parts) - 1):
            with precision:
                outputs = model(images, tokens)[:3]
            # Every part has the same temperature, so each takes an equal share of its gradient.
            gradients = [image_gradients[number], text_gradients[number], leaves[2].grad / len(parts)]
            torch.autograd.backward(outputs, gradients)
    return mean.detach(), right


@torch.no_grad()
def _cached_features(
    model: nn.Module, parts: list[tuple[torch.Tensor, torch.Tensor]], precision: torch.autocast
) -> list[torch.Tensor]:
    """Return the features of all images and captions, and the scale; random states and buffers stay as they are."""
    device = parts[0][0].device
    buffers = [buffer.clone() for buffer in model.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []), precision:
        images, texts, scales = zip(*(model(*part)[:3] for part in parts), strict=True)
    for buffer, before in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return [torch.cat(images), torch.cat(texts), scales[0].clone()]


def _sharded_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, world: World) -> torch.Tensor:
    """Return the loss of this process' pairs among those of all processes.

    As open_clip's with `local_loss` and `gather_with_grad`, but the processes may have parts of unequal size.
    """
    all_images, first = world.gather_rows(images)
    all_texts, _ = world.gather_rows(texts)
    own = first + torch.arange(len(images), device=images.device)
    by_image = F.cross_entropy(scale * images @ all_texts.T, own)
    by_text = F.cross_entropy(scale * texts @ all_images.T, own)
    return (by_image + by_text) / 2


@torch.no_grad()
def classifier(model: nn.Module, corpus: Corpus, architecture: Architecture) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what gives normalised images [B, 3, H, W] the nearest of the corpus' classes, int64 [B], zero-shot.

    A class is embedded as the mean of its prompts, one a template.
    """
    prompts = [template.format(name) for name in corpus.class_names for template in corpus.templates]
    tokens = collate(prompts, architecture.context_length).to(next(model.parameters()).device)
    embedded = torch.cat([model.encode_text(part, normalize=True) for part in tokens.split(256)])
    classes = F.normalize(embedded.view(len(corpus.class_names), len(corpus.templates), -1).mean(dim=1), dim=-1)
    return lambda images: (model.encode_image(images) @ classes.T).argmax(dim=1)
