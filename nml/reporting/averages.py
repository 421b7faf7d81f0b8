"""Averages over tasks with their confidence intervals, and the results of each task."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC
from nml.reporting.sampling import SAMPLING_KEY, Covariances, contrast_variance
from nml.reporting.schema import CELL_NAME
from nml.reporting.seed_variance import seed_variance

NOISE = ["corpus", "recipe", "noise_kind", "noise_percent"]
AVERAGE_KEY = [*NOISE, "method", "fraction", "group", "metric"]
TASK_KEY = [*NOISE, "task", "group", "test_set", "method", "fraction", "metric"]
CONFIDENCE = 0.95
_PLACE = [*AVERAGE_KEY, "unit", "test_set"]
_SEPARATOR = "\x1f"
UNIT_LEVELS = ["unit", "task", "test_set", "pretrain_seed", "seed"]
"""How the rows of an average nest: each level shares the weight of the one before equally."""


def average_over_tasks(cells: pd.DataFrame, sampling: pd.DataFrame, covariances: Covariances) -> pd.DataFrame:
    r"""Average each method over the tasks of a group, with a 95 % confidence interval.

    Every unit counts once: a task, or in the group `ood` a task's test domain. Within a unit the mean is taken over
    seeds, then pre-training seeds, then test sets.

    The tasks are the fixed list of the benchmark, so they are not resampled; the interval says how far the average
    would move with other test samples and other seeds of the same tasks,

    .. math:: \text{value} \pm t_{0.975, \nu} \sqrt{V}, \qquad V = V_\text{test} + V_\text{seeds} - V_\text{both},

    cut to [0, 1], where

    - :math:`V_\text{test} = \sum_d w_d^2 V_d r_d` over the test sets d with weight :math:`w_d`, and :math:`V_d` from
      `nml.reporting.sampling`, which counts drawings, not views of them. All seeds share the test samples, so more
      pre-training seeds narrow this part only as far as their errors differ: with the covariances :math:`\Sigma` of
      the S encoders and their weights a, :math:`r_d = a^T \Sigma a / S \sum_s a_s^2 \Sigma_{ss}`, which is 1 if all err
      alike. It is the variance of accuracy: an approximation for the metrics averaged over classes. Test sets are taken
      as independent. OOD domains that show the same concepts are not, and less so the test images that two tasks share
      (two sources of DomainNet); if their errors go together the interval is too narrow.
    - :math:`V_\text{seeds}`, where two or more encoders (pre-training seeds) have all units: the variance between their
      averages, divided by their number. Else the sum over cells of the variance of the mean over tuning seeds, which
      says nothing about other pre-training seeds; with a single seed of each it is zero
      (`nml.reporting.seed_variance`). Read the columns `pretrain_seeds` and `tuning_seeds` beside the interval.
    - :math:`V_\text{both}`, where two or more encoders have all units: what the other two both count, an encoder's own
      errors (`nml.reporting.sampling.contrast_variance`); at most :math:`V_\text{seeds}`. Else it is left in, and the
      interval is a little too wide.
    - :math:`\nu = V^2 / \sum_k V_k^2 / \nu_k` (Welch 1947, Satterthwaite 1946) over the seed terms;
      :math:`V_\text{test}` has no uncertainty of its own.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    sampling
        `variance` of `nml.reporting.sampling.sampling_of` for the same cells.
    covariances
        Its `covariances`, of the same cells.

    Returns
    -------
    DataFrame with `AVERAGE_KEY` and `value, low, high` (fractions), `tasks` (units averaged), `cells`,
    `pretrain_seeds`, `tuning_seeds` (the fewest that any unit has); sorted.
    """
    rows = _weighted(cells.merge(sampling, on=SAMPLING_KEY, how="left", validate="many_to_one"))
    result = _counts(rows).join(_weighted_mean(rows, AVERAGE_KEY).rename("value"))
    test, both = _test_variance(rows, covariances)
    seeds = seed_variance(rows, AVERAGE_KEY)
    variance = test + (seeds["variance"] - both.where(seeds["encoders"] > 1, 0.0)).clip(lower=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(seeds["squares"] > 0, (variance**2 / seeds["squares"]).clip(lower=1), np.inf)
    half = student_t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variance)
    result["low"] = (result["value"] - half).clip(lower=0)
    result["high"] = (result["value"] + half).clip(upper=1)
    columns = ["value", "low", "high", "tasks", "cells", "pretrain_seeds", "tuning_seeds"]
    return result[columns].reset_index()


def average_each_test_set(cells: pd.DataFrame, sampling: pd.DataFrame, covariances: Covariances) -> pd.DataFrame:
    """Average each test set alone: `average_over_tasks` with `task` and `test_set` in the key."""
    place = ["group", "task", "test_set"]
    joined = cells["group"].str.cat(cells[["task", "test_set"]], sep=_SEPARATOR)
    table = average_over_tasks(cells.assign(group=joined), sampling, covariances)
    parts = table["group"].str.split(_SEPARATOR, expand=True).reindex(columns=range(3))
    return table.assign(**{name: parts[number] for number, name in enumerate(place)})


def results_per_task(cells: pd.DataFrame, sampling: pd.DataFrame, covariances: Covariances) -> pd.DataFrame:
    """Return the mean, its interval and the standard deviation of every test set over its seeds.

    Returns
    -------
    DataFrame with `TASK_KEY` and `value` (mean), `low, high` (95 %, as in `average_over_tasks`), `std`, `seeds` (rows
    averaged), `pretrain_seeds` and `n` (test samples); sorted. `std` has one less in the denominator: with two or more
    pre-training seeds it is the deviation of the encoders' means, which hold the tuning seeds; with one it is the
    deviation over tuning seeds, missing with one.
    """
    encoders = cells.groupby([*TASK_KEY, "pretrain_seed"])["value"].mean().groupby(TASK_KEY).std()
    groups = cells.groupby(TASK_KEY, sort=True)
    table = groups.agg(
        value=("value", "mean"),
        std=("value", "std"),
        seeds=("value", "size"),
        pretrain_seeds=("pretrain_seed", "nunique"),
        n=("n", "min"),
    )
    intervals = average_each_test_set(cells, sampling, covariances).set_index(TASK_KEY)[["low", "high"]]
    table = table.assign(std=table["std"].where(table["pretrain_seeds"] < 2, encoders)).join(intervals)
    return table[["value", "low", "high", "std", "seeds", "pretrain_seeds", "n"]].reset_index()


def fractions_table(averages: pd.DataFrame) -> pd.DataFrame:
    """Return the averages of accuracy over ID tasks and OOD domains where there are several fractions, else no rows."""
    rows = averages[(averages["metric"] == HEADLINE_METRIC) & averages["group"].isin(HEADLINE_GROUPS)]
    rows = rows if rows["fraction"].nunique() > 1 else rows.iloc[:0]
    return rows.drop(columns="metric").reset_index(drop=True)


def add_unit(cells: pd.DataFrame) -> pd.DataFrame:
    """Add `unit`, what an average counts once: the task, or in the group `ood` the task's test domain.

    So too in `ood+symmetric-20`, the group of the tasks with this noise in their labels.
    """
    domain = cells["task"] + "/" + cells["test_set"]
    return cells.assign(unit=domain.where(cells["group"].str.split("+").str[0] == "ood", cells["task"]))


def nested_weights(rows: pd.DataFrame, key: Sequence[str], levels: Sequence[str]) -> pd.Series:
    """Return the weight of each row, which sum to one within the key: equal shares at each level of nesting."""
    weights, parents = pd.Series(1.0, rows.index), list(key)
    for level in levels:
        weights /= rows.groupby(parents)[level].transform("nunique")
        parents.append(level)
    return weights


def _weighted(cells: pd.DataFrame) -> pd.DataFrame:
    rows = add_unit(cells)
    rows = rows.assign(weight=nested_weights(rows, AVERAGE_KEY, UNIT_LEVELS))
    return rows.assign(part=rows["weight"] * rows["value"])


def _weighted_mean(rows: pd.DataFrame, key: list[str]) -> pd.Series:
    sums = rows.groupby(key)[["part", "weight"]].sum()
    return sums["part"] / sums["weight"]


def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby(AVERAGE_KEY)
    encoders = rows.groupby([*AVERAGE_KEY, "unit"])["pretrain_seed"].nunique()
    heads = rows.groupby([*AVERAGE_KEY, "pretrain_seed", "unit"])["seed"].nunique()
    return pd.DataFrame(
        {
            "tasks": groups["unit"].nunique(),
            "cells": rows.drop_duplicates([*AVERAGE_KEY, "pretrain_seed", "task"]).groupby(AVERAGE_KEY).size(),
            "pretrain_seeds": encoders.groupby(AVERAGE_KEY).min(),
            "tuning_seeds": heads.groupby(AVERAGE_KEY).min(),
        }
    )


def _test_variance(rows: pd.DataFrame, covariances: Covariances) -> tuple[pd.Series, pd.Series]:
    """Return the variance due to test samples, and what it has in common with that due to seeds, per average."""
    sets = rows.groupby(_PLACE).agg({"weight": "sum", "variance": "mean"})
    contrasts = rows.assign(contrast=rows.groupby(_PLACE).ngroup())
    terms = contrasts.groupby(["contrast", *CELL_NAME, "test_set", "fraction"])["weight"].sum().reset_index()
    whole, both = contrast_variance(terms, covariances)
    both = both.groupby("contrast").sum()
    # As if all encoders erred alike. The share of it holds for V_d too, which stays positive where nobody errs.
    alike = whole + (terms.groupby("contrast").size() - 1) * both
    shrunk = (whole / alike).fillna(1.0).to_numpy()
    test = sets["weight"] ** 2 * sets["variance"] * shrunk
    return test.groupby(AVERAGE_KEY).sum(), both.set_axis(sets.index).groupby(AVERAGE_KEY).sum()
