"""Linear probing with the generalised cross-entropy, L = (1 - p_y^q) / q, robust to wrong downstream labels.

Zhang and Sabuncu (NeurIPS 2018). q near 0 is the cross-entropy, q = 1 the mean absolute error; 0.7 is theirs.
"""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import generalised_cross_entropy

TRAINED = True
HEAD = "linear"
PARAMETERS = {"q": 0.7}
BOUNDS = {"q": (0.01, 1)}
PER_HEAD = ("q",)


def loss(batch: Batch, parameters: Mapping[str, float | Tensor]) -> Tensor:
    """Return the generalised cross-entropy of each head [H]."""
    return generalised_cross_entropy(batch.logits, batch.labels, parameters["q"])
