"""Full fine-tuning with NMTune's regularisers on the features of the encoder that is tuned."""

from nml.tuning.methods._regularised import regularised

TRAINED = True
HEAD = "linear"
ENCODER = "full"
PARAMETERS = {
    "weight": 0.01,
    "consistency": 1.0,
    "covariance": 1.0,
    "dominant_singular_value": 1.0,
    "k": 1,
    "batch_norm": "trained",
}
BOUNDS = {
    "weight": (0, None),
    "consistency": (0, None),
    "covariance": (0, None),
    "dominant_singular_value": (0, None),
    "k": (1, None),
}

loss = regularised
