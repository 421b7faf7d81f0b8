"""Paired differences: each noise ratio against clean pre-training, and the tuning methods against each other."""

import numpy as np
import pandas as pd

from nml.grid import CLEAN
from nml.reporting.contrasts import RESULTS, against_clean, against_method, comparable, estimate
from nml.reporting.sampling import Covariances

CONTRASTS = (
    *(("nmtune", "lp"), ("nmtune", "mlp"), ("mlp", "lp")),
    *(("ft-nmtune", "ft"), ("lora-nmtune", "lora")),
)
"""Pairs of a method and the one it is compared with."""

DIFFERENCE_KEY = [
    *("comparison", "corpus", "recipe", "noise_kind", "noise_percent", "method", "baseline"),
    *("fraction", "group", "metric"),
]
FAMILY = ["comparison", "corpus", "recipe", "fraction", "group", "metric"]


def paired_differences(cells: pd.DataFrame, covariances: Covariances) -> pd.DataFrame:
    """Compare noise with clean and method with method, on the same tasks, test samples and seeds.

    Two rows are a pair if they share test set, pre-training seed and tuning seed; what has no partner is left out. How
    the pairs are averaged, and what interval and p speak about: `nml.reporting.contrasts.estimate`. With one
    pre-training seed the chance of pre-training is in neither: they tell that two encoders differ, not that noise is
    why. `p_holm` is corrected by Holm (1979) within `FAMILY`. The untrained encoder and the majority class are not
    compared.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    covariances
        `nml.reporting.sampling.Covariances` of the same cells.

    Returns
    -------
    DataFrame with `DIFFERENCE_KEY`, `nml.reporting.contrasts.RESULTS` and `p_holm`; sorted. `comparison` is `noise`
    (then `baseline` is `clean`) or `method` (then it is the other method).
    """
    rows = comparable(cells)
    noise = against_clean(rows).assign(comparison="noise", baseline=CLEAN)
    methods = [against_method(rows, *pair).assign(comparison="method", baseline=pair[1]) for pair in CONTRASTS]
    pairs = pd.concat([part for part in (noise, *methods) if len(part)] or [noise])
    table = estimate(pairs, DIFFERENCE_KEY, covariances).reset_index()
    table["p_holm"] = table.groupby(FAMILY)["p"].transform(holm)
    return table[[*DIFFERENCE_KEY, *RESULTS, "p_holm"]]


def holm(p: pd.Series) -> pd.Series:
    """Return the p-values of one family corrected by Holm's step-down method (1979); missing ones do not count."""
    ordered = p.dropna().sort_values()
    steps = ordered * np.arange(len(ordered), 0, -1)
    return steps.cummax().clip(upper=1).reindex(p.index)
