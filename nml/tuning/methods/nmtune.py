"""NMTune, as the paper states it: MLP tuning with L = L_CE + weight (L_MSE + L_COV + L_SVD)."""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import cross_entropy, nmtune

TRAINED = True
HEAD = "mlp"
PARAMETERS = {"weight": 0.01, "k": 1, "width": 1.0}
BOUNDS = {"weight": (0, None), "k": (1, None), "width": (0.1, None)}


def loss(batch: Batch, parameters: Mapping[str, float]) -> Tensor:
    """Return the regularised cross-entropy of each head [H]."""
    regularisers = nmtune(batch.features, batch.transformed, parameters["weight"], parameters["k"])
    return cross_entropy(batch.logits, batch.labels) + regularisers
