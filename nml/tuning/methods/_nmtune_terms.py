"""The hyper-parameters of NMTune's terms: a factor for each, and how many singular values count."""

PARAMETERS = {"consistency": 1.0, "covariance": 1.0, "dominant_singular_value": 1.0, "k": 1}
BOUNDS = {"consistency": (0, None), "covariance": (0, None), "dominant_singular_value": (0, None), "k": (1, None)}
