"""NMTune's loss on the features of a tuned encoder, which `ft-nmtune` and `lora-nmtune` share."""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import consistency, covariance, cross_entropy, dominant_singular_value


def regularised(batch: Batch, parameters: Mapping[str, float]) -> Tensor:
    """Return L = L_CE + weight (a L_MSE + b L_COV + c L_SVD) of each head [H].

    Z are the features of the tuned encoder, F those of the encoder as it was, of the same images. A term whose factor
    is zero is not computed: without L_MSE, the original encoder does not run.
    """
    loss = cross_entropy(batch.logits, batch.labels)
    weight = parameters["weight"]
    if weight * parameters["consistency"]:
        loss = loss + weight * parameters["consistency"] * consistency(batch.features, batch.transformed)
    if weight * parameters["covariance"]:
        loss = loss + weight * parameters["covariance"] * covariance(batch.transformed)
    if factor := weight * parameters["dominant_singular_value"]:
        loss = loss + factor * dominant_singular_value(batch.transformed, parameters["k"])
    return loss
