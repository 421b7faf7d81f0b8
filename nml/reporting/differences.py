"""Paired differences: each noise ratio against clean pre-training, and the tuning methods against each other."""

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from nml.grid import CLEAN, UNTRAINED
from nml.reporting.averages import CONFIDENCE, add_unit
from nml.reporting.labels import HEADLINE_GROUPS, MAJORITY

CONTRASTS = (("nmtune", "lp"), ("nmtune", "mlp"), ("mlp", "lp"))
"""Pairs of a method and the one it is compared with."""

DIFFERENCE_KEY = [
    *("comparison", "corpus", "recipe", "noise_kind", "noise_percent", "method", "baseline"),
    *("fraction", "group", "metric"),
]
FAMILY = ["comparison", "corpus", "recipe", "fraction", "group", "metric"]
_PAIRED_BY = ["unit", "task", "test_set", "pretrain_seed", "seed"]
_COLUMNS = ["difference", "low", "high", "p", "p_holm", "units", "improved", "pretrain_seeds", "tuning_seeds"]


def paired_differences(cells: pd.DataFrame) -> pd.DataFrame:
    """Compare noise with clean and method with method, on the same tasks and seeds.

    Two rows are a pair if they share test set, pre-training seed and tuning seed; what has no partner is left out. The
    difference of a unit (a task, or an OOD test set) is the mean of its pairs. The estimate is the mean over units,
    with Student's 95 % interval and two-sided p over the units' differences: units - 1 degrees of freedom.

    So interval and p speak about other tasks like these, and need several units that are independent of each other;
    OOD domains that show the same concepts are not. With one pre-training seed the chance of pre-training is in
    neither: it moves all tasks of an encoder together. `p_holm` is corrected by Holm (1979) within `FAMILY`. The
    untrained encoder and the majority class are not compared.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.

    Returns
    -------
    DataFrame with `DIFFERENCE_KEY` and `difference, low, high` (of fractions), `p`, `p_holm`, `units`, `improved`
    (units whose difference is above zero), `pretrain_seeds`, `tuning_seeds` (the fewest that any unit has); sorted.
    `comparison` is `noise` (then `baseline` is `clean`) or `method` (then it is the other method). With one unit
    `low`, `high`, `p` and `p_holm` are missing.
    """
    compared = cells["group"].isin(HEADLINE_GROUPS) & (cells["noise_kind"] != UNTRAINED)
    rows = add_unit(cells[compared & (cells["method"] != MAJORITY)])
    pairs = pd.concat([_against_clean(rows), *(_against_method(rows, *pair) for pair in CONTRASTS)])
    table = _summary(pairs)
    table["p_holm"] = table.groupby(FAMILY)["p"].transform(holm)
    return table[[*DIFFERENCE_KEY, *_COLUMNS]]


def holm(p: pd.Series) -> pd.Series:
    """Return the p-values of one family corrected by Holm's step-down method (1979); missing ones do not count."""
    ordered = p.dropna().sort_values()
    steps = ordered * np.arange(len(ordered), 0, -1)
    return steps.cummax().clip(upper=1).reindex(p.index)


def _against_clean(rows: pd.DataFrame) -> pd.DataFrame:
    noisy, clean = rows[rows["noise_percent"] > 0], rows[rows["noise_kind"] == CLEAN]
    return _paired(noisy, clean, ["method"]).assign(comparison="noise", baseline=CLEAN)


def _against_method(rows: pd.DataFrame, method: str, baseline: str) -> pd.DataFrame:
    first, second = rows[rows["method"] == method], rows[rows["method"] == baseline]
    return _paired(first, second, ["noise_kind", "noise_percent"]).assign(comparison="method", baseline=baseline)


def _paired(rows: pd.DataFrame, baseline: pd.DataFrame, same: list[str]) -> pd.DataFrame:
    """Add `change`, the value minus that of the baseline's row with the same `same`, test set and seeds."""
    shared = ["corpus", "recipe", "fraction", "group", "metric", *same, *_PAIRED_BY]
    pairs = rows.merge(baseline[[*shared, "value"]], on=shared, suffixes=("", "_baseline"), validate="many_to_one")
    return pairs.assign(change=pairs["value"] - pairs["value_baseline"])


def _summary(pairs: pd.DataFrame) -> pd.DataFrame:
    units = pairs.groupby([*DIFFERENCE_KEY, "unit"]).agg(
        change=("change", "mean"), pretrain_seeds=("pretrain_seed", "nunique"), tuning_seeds=("seed", "nunique")
    )
    # A mean of seeds that cancel is zero up to rounding.
    groups = units.assign(better=units["change"] > 1e-12).groupby(DIFFERENCE_KEY)
    table = groups.agg(
        difference=("change", "mean"),
        spread=("change", "std"),
        units=("change", "size"),
        improved=("better", "sum"),
        pretrain_seeds=("pretrain_seeds", "min"),
        tuning_seeds=("tuning_seeds", "min"),
    ).reset_index()
    freedom = (table["units"] - 1).where(table["units"] > 1)
    error = table["spread"] / np.sqrt(table["units"])
    half = student_t.ppf(0.5 + CONFIDENCE / 2, freedom) * error
    # Equal differences on all units have no error: p is 0, or 1 where they are all zero.
    ratio = (table["difference"].abs() / error).where(table["difference"] != 0, 0.0)
    return table.assign(
        low=table["difference"] - half, high=table["difference"] + half, p=2 * student_t.sf(ratio, freedom)
    )
