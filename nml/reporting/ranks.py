"""Average ranks of the tuning methods over tasks, with Friedman's test and Nemenyi's critical difference."""

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from nml.grid import RELEASED
from nml.reporting.averages import CONFIDENCE
from nml.reporting.contrasts import comparable
from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC

_KEY = ["corpus", "recipe", "group"]
_TRAINED = ["noise_kind", "noise_percent", "pretrain_seed"]
COLUMNS = [*_KEY, "method", "rank", "units", "critical_difference", "friedman_p"]


def average_ranks(cells: pd.DataFrame) -> pd.DataFrame:
    r"""Rank the methods on each unit (task, or OOD test domain) by accuracy, and average the ranks (Demšar 2006).

    The accuracy of a method on a unit is its mean over the trained encoders of the recipe and all seeds; encoders that
    lack a method on a unit are left out of it for all methods, and so are units that keep none; so are encoders that
    others released. Two methods differ if
    their ranks do by more than Nemenyi's critical difference,

    .. math:: q_{0.95, k} \sqrt{k (k + 1) / 6 N},

    for k methods and N units, which it takes as independent; OOD domains that show the same concepts are not.

    Returns
    -------
    DataFrame with `COLUMNS`, sorted by rank within corpus, recipe and group; the best method has the smallest rank.
    `friedman_p`: of no difference between any of the methods; it needs three of them, and the critical difference two.
    """
    rows = comparable(cells[(cells["metric"] == HEADLINE_METRIC) & (cells["noise_kind"] != RELEASED)])
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    means = rows.groupby([*_KEY, "unit", *_TRAINED, "method"])["value"].mean().unstack("method")
    parts = [_ranks(_paired_means(part), key) for key, part in means.groupby(_KEY)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    order = table["group"].map({group: place for place, group in enumerate(HEADLINE_GROUPS)})
    return table.assign(order=order).sort_values(["corpus", "recipe", "order", "rank", "method"], ignore_index=True)[
        COLUMNS
    ]


def _paired_means(part: pd.DataFrame) -> pd.DataFrame:
    """Average the methods (columns) over the encoders that have them all, by unit: others would favour some."""
    return part.dropna(axis=1, how="all").dropna().groupby("unit").mean()


def _ranks(values: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    units, methods = values.shape
    # Rounding lets ties survive the averaging.
    accuracy = np.round(values.to_numpy(), 12)
    ranks = rankdata(-accuracy, axis=1)
    enough = units > 1 and methods > 1
    quantile = studentized_range.ppf(CONFIDENCE, methods, np.inf) / np.sqrt(2) if enough else np.nan
    return pd.DataFrame(
        {
            **dict(zip(_KEY, key, strict=True)),
            "method": list(values),
            "rank": ranks.mean(axis=0) if units else np.nan,
            "units": units,
            "critical_difference": quantile * np.sqrt(methods * (methods + 1) / (6 * max(units, 1))),
            "friedman_p": _friedman(accuracy),
        }
    )


def _friedman(values: np.ndarray) -> float:
    units, methods = values.shape
    if units < 2 or methods < 3 or (values == values[:, :1]).all():
        return np.nan
    return float(friedmanchisquare(*values.T).pvalue)
