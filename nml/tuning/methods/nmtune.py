"""NMTune, as the paper states it: MLP tuning with L = L_CE + weight (L_MSE + L_COV + L_SVD).

Each of the three terms has a factor of its own, 1 in the paper; 0 leaves the term out.
"""

from nml.tuning.methods._regularised import regularised

TRAINED = True
HEAD = "mlp"
EXTENDS = "_regularised.py"
PARAMETERS = {}
PER_HEAD = ("weight", "consistency", "covariance", "dominant_singular_value")

loss = regularised
