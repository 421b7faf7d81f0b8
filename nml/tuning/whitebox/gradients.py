"""The gradient of a method's loss on a batch, however few images fit on the device at once.

Gradients of large batches are made in parts: the features of all parts first, from these the loss and its gradient in
the features, then part by part the gradient in the weights. So a loss that looks at the whole batch, as NMTune's does,
is exact. Batch norms that are trained see one part at a time.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from nml.tuning import registry
from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.run import Tuning


class EncoderBatch:
    """What a loss sees of a batch, as `nml.tuning.batch.Batch` of one head; F are made when a loss asks for them."""

    def __init__(self, original: Callable[[], Tensor], transformed: Tensor, logits: Tensor, labels: Tensor) -> None:
        self._original = original
        self.transformed, self.logits, self.labels = transformed[None], logits[None], labels[None]

    @cached_property
    def features(self) -> Tensor:
        """The original encoder's features [1, B, D] of the same images."""
        return self._original()[None]


def backward(run: Tuning, network: Network, images: Tensor, labels: Tensor) -> float:
    """Add the gradient of a batch to the parameters, however few images are computed at once; return the loss."""
    parts = images.split(run.micro_batch_size)
    if len(parts) == 1:
        loss = _loss(run, network, images, network.encode(images, training=True), labels)
        loss.backward()
        return loss.item()
    with torch.no_grad():
        features = torch.cat([network.encode(part, training=True, remember=False) for part in parts])
    features.requires_grad_(bool(network.trained))
    loss = _loss(run, network, images, features, labels)
    loss.backward()
    if network.trained:
        for part, upstream in zip(parts, features.grad.split(run.micro_batch_size), strict=True):
            network.encode(part, training=True).backward(upstream)
    return loss.item()


def _loss(run: Tuning, network: Network, images: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    @torch.no_grad()
    def original() -> Tensor:
        return torch.cat([run.original.features(part).float() for part in images.split(run.micro_batch_size)])

    batch = EncoderBatch(original, features, network.logits(features), labels)
    return registry.load(run.method).loss(batch, run.parameters).sum()
