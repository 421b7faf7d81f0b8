"""MLP tuning: an MLP, of two layers by default, and a linear head, trained with cross-entropy alone.

It is NMTune without regularisers.
"""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import cross_entropy

TRAINED = True
HEAD = "mlp"
PARAMETERS = {}


def loss(batch: Batch, parameters: Mapping[str, float]) -> Tensor:
    """Return the cross-entropy of each head [H]."""
    return cross_entropy(batch.logits, batch.labels)
