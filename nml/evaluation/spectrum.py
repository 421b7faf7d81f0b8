"""The spectrum of a feature space: singular values of raw, un-centred features F = U S V^T, float [M, D].

Definitions of Chen et al. (ICLR 2024), section 2.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from nml.errors import UserError


def singular_values(features: np.ndarray) -> np.ndarray:
    """Return the singular values float64 [min(M, D)], in descending order, of features float [M, D].

    They are computed by a direct decomposition in float64: through the Gram matrix, which is faster, those below
    1e-8 of the largest would be noise.

    Raises
    ------
    UserError
        If the features are empty, not finite, or no matrix.
    """
    return np.linalg.svd(_matrix(features), compute_uv=False)


def shape(sigma: np.ndarray) -> dict[str, float]:
    """Return `sve` and `lsvr`, in nats, and `dominant_ratio` of singular values float64 [K] in descending order.

    Raises
    ------
    UserError
        If all are zero.
    """
    ratio = dominant_ratio(sigma)
    return {"sve": entropy(sigma), "lsvr": float(-np.log(ratio)) + 0.0, "dominant_ratio": ratio}


def fast_shape(features: np.ndarray) -> dict[str, float]:
    """Return the `shape` of features float [M, D], many times as fast as by `singular_values`.

    The Gram matrix gives it; singular values below 1e-8 of the largest are noise in it, which adds less than 1e-4 nats
    to the SVE and about 1e-6 to the LSVR. Features that are zero everywhere have no shape: the result is empty.

    Raises
    ------
    UserError
        If the features are empty, not finite, or no matrix.
    """
    sigma = _gram_singular_values(_matrix(features))
    return shape(sigma) if sigma.any() else {}


def mean_shapes(spaces: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the mean shape of each test set over the feature spaces of several heads, of those that have one.

    Parameters
    ----------
    spaces : sequence of mapping
        For each head, what `fast_shape` gives of the features of each test set. Test sets without any are left out.
    """
    found = {test: [space[test] for space in spaces if space[test]] for test in spaces[0]}
    return {
        test: {name: float(np.mean([one[name] for one in shapes])) for name in shapes[0]}
        for test, shapes in found.items()
        if shapes
    }


def singular_value_entropy(features: np.ndarray) -> float:
    """Return SVE = -sum_i p_i log p_i with p_i = sigma_i / sum_j sigma_j, in nats, of features float [M, D].

    It is 0 for rank one and at most log min(M, D).

    Raises
    ------
    UserError
        If the features are empty, not finite, no matrix, or zero everywhere.
    """
    return entropy(singular_values(features))


def largest_singular_value_ratio(features: np.ndarray) -> float:
    """Return LSVR = -log(sigma_1 / sum_j sigma_j), in nats, of features float [M, D].

    It is 0 for rank one and at most log min(M, D); smaller means that the first direction is more dominant.

    Raises
    ------
    UserError
        If the features are empty, not finite, no matrix, or zero everywhere.
    """
    return -float(np.log(dominant_ratio(singular_values(features))))


def entropy(sigma: np.ndarray) -> float:
    """Return the SVE, in nats, of singular values float64 [K]; raise `UserError` if all are zero."""
    shares = _shares(sigma)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum()) + 0.0


def dominant_ratio(sigma: np.ndarray) -> float:
    """Return sigma_1 / sum_j sigma_j, in [1/K, 1], of singular values float64 [K] in descending order.

    Raises
    ------
    UserError
        If all are zero.
    """
    return float(_shares(sigma)[0])


def _gram_singular_values(features: np.ndarray) -> np.ndarray:
    """Return the singular values as `singular_values` does, through the smaller Gram matrix, in float64."""
    gram = features.T @ features if features.shape[0] > features.shape[1] else features @ features.T
    return np.sqrt(np.linalg.eigvalsh(gram).clip(min=0))[::-1]


def _matrix(features: np.ndarray) -> np.ndarray:
    """Return the features as float64; raise `UserError` if they are empty, not finite, or no matrix."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.size == 0 or not np.isfinite(features).all():
        raise UserError(f"features of shape {features.shape} have no spectrum; needed are finite values [M, D]")
    return features


def _shares(sigma: np.ndarray) -> np.ndarray:
    """Return the singular values [K] divided by their sum."""
    total = sigma.sum()
    if total == 0:
        raise UserError("all features are zero, so their spectrum is undefined; check the encoder and its transform")
    return sigma / total
