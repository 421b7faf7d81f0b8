"""The image-text contrastive objective of CLIP, with open_clip's tokenizer and loss."""

import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from open_clip import ClipLoss
from open_clip.tokenizer import SimpleTokenizer
from torch import nn

from nml.corpora.catalogue import Corpus
from nml.pretraining.architectures import Architecture
from nml.pretraining.images import normalise
from nml.pretraining.world import World

TARGET = "caption"
# The largest inverse temperature, as in CLIP.
MAX_LOGIT_SCALE = math.log(100)

_clip_loss = ClipLoss()
_tokenizer = SimpleTokenizer()


@lru_cache(maxsize=2**16)
def _tokens(caption: str, context_length: int) -> torch.Tensor:
    return _tokenizer(caption, context_length=context_length)[0]


def collate(targets: list[Any], architecture: Architecture) -> torch.Tensor:
    """Return captions as int64 tokens [B, context length]."""
    return torch.stack([_tokens(caption, architecture.context_length) for caption in targets])


def loss(
    model: nn.Module, images: torch.Tensor, tokens: torch.Tensor, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the symmetric InfoNCE loss and the number of images whose own caption is the nearest in the batch.

    With several processes, each image is set against the captions of all, and the sum of the processes' gradients is
    that of the whole batch; the number counts among the process' own captions.
    """
    with torch.no_grad():
        getattr(model, "module", model).logit_scale.clamp_(0, MAX_LOGIT_SCALE)
    image_features, text_features, scale = model(images, tokens)[:3]
    nearest = (image_features.detach() @ text_features.detach().T).argmax(dim=1)
    right = (nearest == torch.arange(len(images), device=images.device)).sum()
    if world.size == 1:
        return _clip_loss(image_features, text_features, scale), right
    return _sharded_loss(image_features, text_features, scale, world), right


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


@torch.inference_mode()
def validation_accuracy(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, corpus: Corpus, architecture: Architecture
) -> float:
    """Return the zero-shot accuracy over the corpus' classes, each embedded as the mean of its prompts."""
    prompts = [template.format(name) for name in corpus.class_names for template in corpus.templates]
    tokens = collate(prompts, architecture).to(images.device)
    embedded = torch.cat([model.encode_text(part, normalize=True) for part in tokens.split(256)])
    classes = F.normalize(embedded.view(len(corpus.class_names), len(corpus.templates), -1).mean(dim=1), dim=-1)
    parts = [model.encode_image(normalise(part, architecture.image_size)) for part in images.split(256)]
    return ((torch.cat(parts) @ classes.T).argmax(dim=1) == labels).double().mean().item()
