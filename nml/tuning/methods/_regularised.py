"""NMTune's loss, which `nmtune` has on heads, and `ft-nmtune` and `lora-nmtune` on the features of a tuned encoder."""

from collections.abc import Mapping

from torch import Tensor

from nml.tuning.batch import Batch
from nml.tuning.losses import cross_entropy, is_left_out, nmtune

EXTENDS = "_nmtune_terms.py"
PARAMETERS = {"weight": 0.01}
BOUNDS = {"weight": (0, None)}


def regularised(batch: Batch, parameters: Mapping[str, float | Tensor]) -> Tensor:
    """Return L = L_CE + weight (a L_MSE + b L_COV + c L_SVD) of each head [H].

    Z are the features of the MLP or of the tuned encoder, F those of the encoder as it was, of the same images. A term
    whose factor is the number zero is not computed: without L_MSE, the original encoder does not run.
    """
    factors = parameters["consistency"], parameters["covariance"], parameters["dominant_singular_value"]
    needs_features = not is_left_out(parameters["weight"] * factors[0])
    features = batch.features if needs_features else batch.transformed
    regularisers = nmtune(features, batch.transformed, parameters["weight"], parameters["k"], factors)
    return cross_entropy(batch.logits, batch.labels) + regularisers
