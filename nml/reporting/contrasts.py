"""Contrasts: weighted differences of cells, paired by test sample, task and seed, with their intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from nml.grid import CLEAN, UNTRAINED
from nml.reporting.averages import CONFIDENCE, UNIT_LEVELS, add_unit, nested_weights
from nml.reporting.labels import HEADLINE_GROUPS, MAJORITY
from nml.reporting.sampling import Covariances, contrast_variance
from nml.reporting.schema import CELL_NAME
from nml.reporting.seed_variance import seed_variance

_SAME = ["corpus", "recipe", "fraction", "group", "metric", *UNIT_LEVELS]
_ARM = ["noise_kind", "noise_percent", "method", "value"]
_FAMILY = ["corpus", "recipe"]
RESULTS = [
    *("difference", "low", "high", "p", "effect", "units", "improved"),
    *("tasks_low", "tasks_high", "tasks_p", "cells", "pretrain_seeds", "tuning_seeds"),
]


def comparable(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are compared, with their `unit`: ID and OOD, without both controls."""
    compared = cells["group"].isin(HEADLINE_GROUPS) & (cells["noise_kind"] != UNTRAINED)
    return add_unit(cells[compared & (cells["method"] != MAJORITY)])


def against_clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Pair each noisy row with clean pre-training: the same recipe, method, task, test set and seeds."""
    noisy, clean = rows[rows["noise_percent"] > 0], rows[rows["noise_kind"] == CLEAN]
    return _paired(noisy, clean, ["method"])


def against_method(rows: pd.DataFrame, method: str, baseline: str) -> pd.DataFrame:
    """Pair each row of a method with another method on the same encoder, task, test set and seed."""
    first, second = rows[rows["method"] == method], rows[rows["method"] == baseline]
    return _paired(first, second, ["noise_kind", "noise_percent"])


def against_cell(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Pair the rows of two cells of a task by test set, fraction and tuning seed, whatever their encoders."""
    shared = ["task", "group", "test_set", "fraction", "metric", "unit", "seed"]
    pairs = first.merge(second, on=shared, suffixes=("", "_baseline"), validate="one_to_one")
    return pairs.assign(change=pairs["value"] - pairs["value_baseline"])


def cells_behind(pairs: pd.DataFrame) -> int:
    """Count the cells on both sides of the pairs, each once."""
    return len(_both_sides(pairs).drop_duplicates(CELL_NAME))


def _both_sides(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's cell and then each one's baseline, whose weight is negative."""
    other = {name: pairs[f"{name}_baseline"] for name in CELL_NAME if f"{name}_baseline" in pairs}
    weight = -pairs["weight"] if "weight" in pairs else -1.0
    return pd.concat([pairs, pairs.assign(**other, weight=weight)])


def _paired(rows: pd.DataFrame, baseline: pd.DataFrame, same: list[str]) -> pd.DataFrame:
    shared = [*_SAME, *same]
    other = [name for name in _ARM if name not in same]
    pairs = rows.merge(baseline[[*shared, *other]], on=shared, suffixes=("", "_baseline"), validate="many_to_one")
    same_arm = {f"{name}_baseline": pairs[name] for name in same if name in _ARM}
    return pairs.assign(**same_arm, change=pairs["value"] - pairs["value_baseline"])


def estimate(
    pairs: pd.DataFrame, key: Sequence[str], covariances: Covariances, levels: Sequence[str] = ()
) -> pd.DataFrame:
    r"""Average the changes of pairs within each key, with interval, p and effect size.

    The weight of a pair is shared equally at each of `levels`, then units (tasks, or OOD test domains), tasks, test
    sets, pre-training seeds and tuning seeds. As for `nml.reporting.averages`, the tasks are fixed: the 95 % interval
    and the two-sided p speak about other test samples and other seeds,

    .. math:: \text{difference} \pm t_{0.975, \nu} \sqrt{V_\text{test} + V_\text{seeds} - V_\text{both}}.

    - :math:`V_\text{test} = \sum_d a_d^T \Sigma_d a_d` over the test sets, which are taken as independent, with the
      signed weights of their cells and `nml.reporting.sampling.Covariances`: both sides of a pair share the
      test samples.
    - :math:`V_\text{seeds}`, summed over corpora and recipes: where two or more pre-training seeds have all of a
      recipe's pairs, the variance between their contributions, divided by their number; else the variance between
      tuning seeds, cell by cell (`nml.reporting.seed_variance`). Both sides of a pair share the seeds.
    - :math:`V_\text{both}`: what the first two both count, in recipes where two or more seeds have all pairs: how far
      an encoder's own errors differ from sample to sample (`nml.reporting.sampling.contrast_variance`).
    - :math:`\nu` from Welch and Satterthwaite, with no uncertainty in :math:`V_\text{test}`.

    Parameters
    ----------
    pairs
        Rows of `against_clean` or `against_method`.
    key
        What tells the averages apart.
    covariances
        Of the same cells. Those of accuracy serve all metrics: an approximation for the metrics averaged over classes.
    levels
        Columns whose values share the weight equally before units do.

    Returns
    -------
    DataFrame indexed by `key` with `RESULTS`: `difference, low, high` of fractions; `effect`, the mean over units
    divided by the standard deviation over units (Cohen's d of paired samples); `units`; `improved`, the units whose
    difference is above zero; `tasks_low, tasks_high, tasks_p`, Student's interval and p over units, which speak about
    other tasks of this kind and take the units as independent; `cells`, on both sides; the fewest seeds of any unit.
    What cannot be computed is missing.
    """
    if pairs.empty:
        return pd.DataFrame(columns=[*key, *RESULTS]).set_index(list(key))
    groups = pairs.groupby(list(key))
    names = groups.size().index
    pairs = pairs.assign(contrast=groups.ngroup(), weight=nested_weights(pairs, key, [*levels, *UNIT_LEVELS]))
    pairs = pairs.assign(part=pairs["weight"] * pairs["change"])
    terms = _terms(pairs)
    table = _over_units(pairs).join(_counts(pairs, terms))
    table["difference"] = pairs.groupby("contrast")["part"].sum()
    test, seeds, squares = _variances(pairs, terms, covariances)
    variance = test + seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(squares > 0, (variance**2 / squares).clip(lower=1), np.inf)
        # Where nothing varies at all p is 0, or 1 where there is no difference either.
        ratio = (table["difference"].abs() / np.sqrt(variance)).where(table["difference"] != 0, 0.0)
    half = student_t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variance)
    table = table.assign(
        low=table["difference"] - half, high=table["difference"] + half, p=2 * student_t.sf(ratio, freedom)
    )
    return table[RESULTS].set_axis(names)


def _terms(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the signed weight of every cell and test set in every contrast."""
    columns = ["contrast", *CELL_NAME, "test_set", "fraction"]
    return _both_sides(pairs).groupby(columns)["weight"].sum().reset_index()


def _variances(
    pairs: pd.DataFrame, terms: pd.DataFrame, covariances: Covariances
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return of each contrast V_test, V_seeds - V_both, and Satterthwaite's sum of V_k^2 / nu_k."""
    family = ["contrast", *_FAMILY]
    seeds = seed_variance(pairs, family)
    sets = terms.groupby(["contrast", "task", "test_set"])
    owner = sets.size().index.get_level_values("contrast")
    # Set by set, for one that a single encoder has counts nothing twice.
    whole, both = contrast_variance(terms.assign(contrast=sets.ngroup()), covariances)
    both = both.rename(index=dict(enumerate(owner)), level="contrast").groupby(family).sum()
    both = both.where(seeds["encoders"].reindex(both.index, fill_value=0) > 1, 0.0)
    totals = seeds.groupby("contrast").sum()
    own = (totals["variance"] - both.groupby("contrast").sum()).clip(lower=0)
    return whole.groupby(owner).sum(), own, totals["squares"]


def _over_units(pairs: pd.DataFrame) -> pd.DataFrame:
    sums = pairs.groupby(["contrast", "unit"])[["part", "weight"]].sum()
    # A mean of seeds that cancel is zero up to rounding.
    changes = (sums["part"] / sums["weight"]).rename("change").to_frame()
    groups = changes.assign(better=changes["change"] > 1e-12).groupby("contrast")
    table = groups.agg(
        mean=("change", "mean"), spread=("change", "std"), units=("change", "size"), improved=("better", "sum")
    )
    freedom = (table["units"] - 1).where(table["units"] > 1)
    error = table["spread"] / np.sqrt(table["units"])
    half = student_t.ppf(0.5 + CONFIDENCE / 2, freedom) * error
    # Equal differences on all units have no error: p is 0, or 1 where they are all zero.
    ratio = (table["mean"].abs() / error).where(table["mean"] != 0, 0.0)
    return table[["units", "improved"]].assign(
        effect=(table["mean"] / table["spread"]).where(table["spread"] > 0),
        tasks_low=table["mean"] - half,
        tasks_high=table["mean"] + half,
        tasks_p=2 * student_t.sf(ratio, freedom),
    )


def _counts(pairs: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    cells = terms.drop_duplicates(["contrast", *CELL_NAME]).groupby("contrast").size()
    seeds = pairs.groupby(["contrast", *_FAMILY, "unit"])[["pretrain_seed", "seed"]].nunique()
    fewest = seeds.groupby("contrast").min()
    return fewest.rename(columns={"pretrain_seed": "pretrain_seeds", "seed": "tuning_seeds"}).assign(cells=cells)
