"""Linear probing with the symmetric cross-entropy, L = alpha CE + beta RCE, robust to wrong downstream labels.

Wang et al. (ICCV 2019). The reverse cross-entropy RCE takes the label's distribution for the model's, with log 0 = -4;
so RCE = 4 (1 - p_y). alpha = 0.1 and beta = 1 are theirs for CIFAR-10; for many classes they raise alpha.
"""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import cross_entropy, reverse_cross_entropy

TRAINED = True
HEAD = "linear"
PARAMETERS = {"alpha": 0.1, "beta": 1.0}
BOUNDS = {"alpha": (0, None), "beta": (0, None)}
PER_HEAD = ("alpha", "beta")


def loss(batch: Batch, parameters: Mapping[str, float | Tensor]) -> Tensor:
    """Return the symmetric cross-entropy of each head [H]."""
    reverse = reverse_cross_entropy(batch.logits, batch.labels)
    return parameters["alpha"] * cross_entropy(batch.logits, batch.labels) + parameters["beta"] * reverse
