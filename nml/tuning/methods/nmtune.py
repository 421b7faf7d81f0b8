"""NMTune, as the paper states it: MLP tuning with L = L_CE + weight (L_MSE + L_COV + L_SVD).

Each of the three terms has a factor of its own, 1 in the paper; 0 leaves the term out.
"""

from nml.tuning.methods._regularised import regularised

TRAINED = True
HEAD = "mlp"
PARAMETERS = {
    "weight": 0.01,
    "consistency": 1.0,
    "covariance": 1.0,
    "dominant_singular_value": 1.0,
    "k": 1,
    "width": 1.0,
    "depth": 2,
}
BOUNDS = {
    "weight": (0, None),
    "consistency": (0, None),
    "covariance": (0, None),
    "dominant_singular_value": (0, None),
    "k": (1, None),
    "width": (0.1, None),
    "depth": (1, None),
}
PER_HEAD = ("weight", "consistency", "covariance", "dominant_singular_value")

loss = regularised
