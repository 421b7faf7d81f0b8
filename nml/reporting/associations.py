"""How the spectrum of the features goes with performance, within tasks."""

from collections.abc import Sequence
from itertools import permutations, product
from math import factorial, prod
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from scipy.stats import t as student_t

from nml.grid import RELEASED, UNTRAINED
from nml.reporting.averages import CONFIDENCE
from nml.reporting.labels import HEADLINE_METRIC
from nml.reporting.schema import ENCODER, SPECTRUM_KEY
from nml.seeds import derive_seed

PAIRS = (("id", "sve"), ("ood", "lsvr"))
_MOST_PERMUTATIONS = 5040
_ALIKE = ["corpus", "recipe", "pretrain_seed"]
"""Encoders that agree in these may be exchanged."""


class Association(NamedTuple):
    """Spearman's correlation within tasks; `p` is two-sided, by permuting encoders; the interval is a jackknife's."""

    spearman: float
    low: float
    high: float
    p: float
    points: int
    test_sets: int
    encoders: int


def spectrum_points(cells: pd.DataFrame, spectra: pd.DataFrame) -> pd.DataFrame:
    """Join each spectrum with the linear probe's accuracy (mean over tuning seeds, all of the training data).

    The untrained control is left out: it differs from every trained encoder, and would make the correlation alone.
    So are released encoders, of which each is a recipe of its own.

    Returns
    -------
    DataFrame with the columns of `spectra` and `accuracy` (a fraction); one row per encoder and test set.
    """
    chosen = cells[(cells["method"] == "lp") & (cells["metric"] == HEADLINE_METRIC)]
    chosen = chosen[chosen["fraction"] == chosen["fraction"].max()]
    accuracy = chosen.groupby(SPECTRUM_KEY)["value"].mean().rename("accuracy").reset_index()
    points = spectra.merge(accuracy, on=SPECTRUM_KEY, how="inner", validate="one_to_one")
    return points[~points["noise_kind"].isin([UNTRAINED, RELEASED])].reset_index(drop=True)


def associate(points: pd.DataFrame) -> pd.DataFrame:
    """Return the within-task association of SVE with ID accuracy and of LSVR with OOD accuracy, for each recipe.

    Returns
    -------
    DataFrame with `corpus, recipe, group, quantity` and the fields of `Association`.
    """
    rows = []
    for (corpus, recipe), part in points.groupby(["corpus", "recipe"]):
        for group, quantity in PAIRS:
            found = within_task_spearman(part[part["group"] == group], quantity, "accuracy")
            rows.append({"corpus": corpus, "recipe": recipe, "group": group, "quantity": quantity, **found._asdict()})
    return pd.DataFrame(rows, columns=["corpus", "recipe", "group", "quantity", *Association._fields])


def centred(points: pd.DataFrame, column: str) -> pd.Series:
    """Return the column minus its mean over the encoders of the same recipe and seed on the same test set."""
    return points[column] - points.groupby([*_ALIKE, "task", "test_set"])[column].transform("mean")


def within_task_spearman(points: pd.DataFrame, x: str, y: str) -> Association:
    """Correlate x and y across encoders after removing the mean of each test set, recipe and pre-training seed.

    Tasks differ in level far more than encoders do, so only differences within a task speak about encoders. The points
    of one encoder are not independent (its spectrum moves on all tasks together), so p comes from exchanging whole
    encoders of the same corpus, recipe and pre-training seed: the share of these permutations with a correlation at
    least as large in size. All are tried if there are at most 5040 (7 encoders of one seed), else 5040 of them with the
    identity; p cannot fall below one over the permutations tried.

    `low` and `high` are the approximate 95 % interval of the jackknife that leaves one encoder out at a time, on the
    scale of Fisher's z, with Student's t of one less than the encoders.

    Test sets that lack an encoder are left out. With fewer than 3 encoders `spearman` and `p` are missing, with fewer
    than 4 the interval.
    """
    key = ["task", "test_set"]
    xs = points.pivot(index=key, columns=ENCODER, values=x).dropna()
    ys = points.pivot(index=key, columns=ENCODER, values=y).dropna()
    none = Association(*[np.nan] * 4, xs.size, *xs.shape)
    if xs.shape[1] < 3 or xs.empty:
        return none
    blocks = xs.columns.to_frame()[_ALIKE].apply(tuple, axis=1).factorize()[0]
    rank_x, rank_y = _centred_ranks(xs.to_numpy(), blocks), _centred_ranks(ys.to_numpy(), blocks)
    scale = np.sqrt((rank_x**2).sum() * (rank_y**2).sum())
    if scale == 0:
        return none
    # Permuting columns leaves the ranks as they are, so one encoders x encoders product serves every permutation.
    products = rank_x.T @ rank_y / scale
    orders = _orders([np.flatnonzero(blocks == block) for block in np.unique(blocks)])
    correlations = products[orders, np.arange(xs.shape[1])].sum(axis=1)
    extreme = np.abs(correlations) >= np.abs(correlations[0]) - 1e-12
    interval = _jackknife_interval(xs.to_numpy(), ys.to_numpy(), blocks, correlations[0])
    return Association(float(correlations[0]), *interval, float(extreme.mean()), xs.size, *xs.shape)


def _jackknife_interval(xs: np.ndarray, ys: np.ndarray, blocks: np.ndarray, whole: float) -> tuple[float, float]:
    encoders = len(blocks)
    if encoders < 4:
        return np.nan, np.nan
    if abs(whole) > 1 - 1e-9:
        return whole, whole
    left_out = [np.arange(encoders) != place for place in range(encoders)]
    parts = np.array([_rank_correlation(xs[:, kept], ys[:, kept], blocks[kept]) for kept in left_out])
    z = np.arctanh(np.clip(parts, -1 + 1e-9, 1 - 1e-9))
    error = np.sqrt((encoders - 1) / encoders * ((z - z.mean()) ** 2).sum())
    half = student_t.ppf(0.5 + CONFIDENCE / 2, encoders - 1) * error
    return float(np.tanh(np.arctanh(whole) - half)), float(np.tanh(np.arctanh(whole) + half))


def _rank_correlation(xs: np.ndarray, ys: np.ndarray, blocks: np.ndarray) -> float:
    x, y = _centred_ranks(xs, blocks), _centred_ranks(ys, blocks)
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / scale) if scale else 0.0


def _centred_ranks(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    within = np.empty_like(values)
    for number in np.unique(blocks):
        block = values[:, blocks == number]
        within[:, blocks == number] = block - block.mean(axis=1, keepdims=True)
    # Rounding lets ties survive the subtraction.
    ranks = rankdata(np.round(within, 12)).reshape(values.shape)
    return ranks - ranks.mean()


def _orders(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return orders that permute within blocks of positions, int, shape (orders, positions); the first is identity."""
    positions = np.concatenate(blocks)
    if prod(factorial(len(block)) for block in blocks) <= _MOST_PERMUTATIONS:
        drawn = np.array([np.concatenate(parts) for parts in product(*map(permutations, blocks))])
    else:
        generator = np.random.default_rng(derive_seed("associations", len(positions)))
        tiled = [np.tile(block, (_MOST_PERMUTATIONS - 1, 1)) for block in blocks]
        drawn = np.vstack([positions, np.hstack([generator.permuted(block, axis=1) for block in tiled])])
    return drawn[:, np.argsort(positions)]
