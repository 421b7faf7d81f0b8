"""NMTune, as the released code has it: other weights and norms, five singular values, a residual MLP, two views.

L = L_CE + consistency MSE(Z_s / ||Z_s||, F_w / ||F_w||) + covariance L_COV - dominant_singular_value (mean of the k
largest normalised singular values), for two views w and s of each sample: the cross-entropy, L_COV and the singular
values are of both together, the squared error is a mean over samples and dimensions. Where the features hold one view,
it is both.
"""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning import losses
from nml.tuning.batch import Batch

TRAINED = True
HEAD = "residual-mlp"
EXTENDS = "_nmtune_terms.py"
PARAMETERS = {"covariance": 0.04, "dominant_singular_value": 0.001, "k": 5}
PER_HEAD = ("consistency", "covariance", "dominant_singular_value")
VIEWS = 2


def loss(batch: Batch, parameters: Mapping[str, float | Tensor]) -> Tensor:
    """Return the regularised cross-entropy of each head [H]."""
    weak, strong = batch.features.chunk(2, dim=1)[0], batch.transformed.chunk(2, dim=1)[1]
    return (
        losses.cross_entropy(batch.logits, batch.labels)
        + parameters["consistency"] * losses.consistency(weak, strong) / weak.shape[-1]
        + parameters["covariance"] * losses.covariance(batch.transformed)
        + parameters["dominant_singular_value"] * losses.dominant_singular_value(batch.transformed, parameters["k"])
    )
