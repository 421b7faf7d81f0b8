"""Linear probing: a linear head on the frozen features, trained with cross-entropy."""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import cross_entropy, cross_entropy_gradient

TRAINED = True
HEAD = "linear"
PARAMETERS = {}


def loss(batch: Batch, parameters: Mapping[str, float]) -> Tensor:
    """Return the cross-entropy of each head [H]."""
    return cross_entropy(batch.logits, batch.labels)


def logit_gradient(batch: Batch, parameters: Mapping[str, float]) -> Tensor:
    """Return the gradient of the losses in the logits [H, B, C]."""
    return cross_entropy_gradient(batch.logits, batch.labels)
