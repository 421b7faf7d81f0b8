"""How far accuracy would move with other test samples: a variance that knows which images belong together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nml.reporting.predictions import read_clusters, read_unit_sums
from nml.reporting.reading import CELL_NAME, ENCODER

SAMPLING_KEY = [*ENCODER, "task", "test_set", "method", "fraction"]


def sampling_variance(cell_files: Sequence[str | Path]) -> pd.DataFrame:
    r"""Return the cluster-robust variance of accuracy, averaged over tuning seeds, of every test set.

    Test images may be views of one drawing or of one font, which are right or wrong together; these clusters, not
    images, are independent. With :math:`R_c` right of :math:`M_c` predictions on cluster c (all its images and seeds),

    .. math:: V = \frac{\sum_c (R_c - \tilde p M_c)^2}{(\sum_c M_c)^2}, \qquad \tilde p = \frac{\sum_c R_c}{\sum_c M_c},

    where four clusters of average size are added, two right and two wrong, so that V stays positive at 0 and 1. With
    one image per cluster and one seed this is the variance of Agresti and Coull (1998), p (1 - p) / (n + 4).

    Parameters
    ----------
    cell_files
        Cells; the predictions of `<method>.parquet` are read from `<method>.predictions.parquet` beside it. The
        cluster of a sample is its key up to the first `__`, or all of the key.

    Returns
    -------
    DataFrame with `SAMPLING_KEY`, `clusters` (independent of each other) and `variance` (of a fraction in
    [0, 1]); sorted.

    Raises
    ------
    UserError
        No cells, or a file is missing or unreadable.
    """
    sums = read_unit_sums(cell_files)
    size = sums["predictions"] / sums["clusters"]
    total = sums["predictions"] + 4 * size
    share = (sums["correct"] + 2 * size) / total
    squares = sums["correct_squared"] - 2 * share * sums["cross"] + share**2 * sums["predictions_squared"]
    added = 2 * size**2 * (share**2 + (1 - share) ** 2)
    return sums[[*SAMPLING_KEY, "clusters"]].assign(variance=(squares + added) / total**2)


class Covariance(NamedTuple):
    """The covariance of the accuracies of cells on one test set, which they share."""

    cells: dict[tuple, int]
    """The row of each cell, by (corpus, recipe, noise kind, noise percent, pre-training seed, task, method)."""
    matrix: np.ndarray
    """float64, shape (cells, cells); of fractions."""


Covariances = Mapping[tuple[str, str, int], Covariance]
"""By (task, test set, fraction)."""


def sampling_covariances(cell_files: Sequence[str | Path]) -> dict[tuple[str, str, int], Covariance]:
    r"""Return how the accuracies of cells on the same test set move together with other test samples.

    Cells that are right and wrong on the same samples differ by less than their own intervals say; with this matrix the
    variance of any weighted sum of cells, :math:`\sum_i a_i p_i`, is :math:`a^T \Sigma a`, paired by test sample:

    .. math:: \Sigma_{ij} = \frac{C}{C - 1} \sum_c e_{ic} e_{jc}, \qquad
              e_{ic} = \frac{R_{ic} - p_i M_{ic}}{\sum_c M_{ic}},

    with the sums of `sampling_variance` over C clusters. This is what a bootstrap of whole clusters gives in the limit
    of many resamples, up to C / (C - 1).

    Parameters
    ----------
    cell_files
        Cells, with their predictions beside them; the files of a task are read together.

    Returns
    -------
    A `Covariance` for each (task, test set, fraction).

    Raises
    ------
    UserError
        No cells, or a file is missing or unreadable.
    """
    tasks = defaultdict(list)
    for file in cell_files:
        tasks[Path(file).parent.name].append(file)
    found = {}
    for task in sorted(tasks):
        for (test_set, fraction), part in read_clusters(tasks[task]).groupby(["test_set", "fraction"]):
            found[task, test_set, int(fraction)] = _covariance(part)
    return found


def contrast_variance(terms: pd.DataFrame, covariances: Covariances) -> tuple[pd.Series, pd.Series]:
    r"""Return the variance of weighted sums of cells over test samples, and the part that seeds have too.

    A seed's own errors, :math:`\sigma^2_{io}` of an encoder i on a sample o, add to how far the sum moves with other
    test samples, and to how far it moves between pre-training seeds: counted with both, they are counted twice. For a
    family with S seeds, each with a share :math:`a_s` of the weights,

    .. math:: V_\text{both} = \frac{S \sum_s a_s^T \Sigma a_s - a^T \Sigma a}{S - 1},

    as in the analysis of variance of two crossed random effects.

    Parameters
    ----------
    terms
        `contrast` (int), `nml.reporting.reading.CELL_NAME`, `test_set`, `fraction` and `weight` of each cell.
    covariances
        Of the test sets of these cells.

    Returns
    -------
    :math:`V_\text{test}` and :math:`V_\text{both}` (0 for families with one seed), indexed by contrast, summed over
    test sets.
    """
    family = ["contrast", "corpus", "recipe"]
    keys = (["contrast"], family, [*family, "pretrain_seed"])
    whole, families, seeds = (_quadratic(terms, key, covariances) for key in keys)
    number = seeds.groupby(family).size()
    both = (number * seeds.groupby(family).sum() - families) / (number - 1).where(number > 1)
    return whole, both.fillna(0.0).clip(lower=0.0).groupby("contrast").sum()


def _quadratic(terms: pd.DataFrame, key: list[str], covariances: Covariances) -> pd.Series:
    """Return a' S a for each value of the key, summed over test sets."""
    groups = terms.groupby(key)
    names, codes, weight = groups.size().index, groups.ngroup().to_numpy(), terms["weight"].to_numpy()
    cells = np.fromiter(terms[CELL_NAME].itertuples(index=False, name=None), dtype=object, count=len(terms))
    total = np.zeros(len(names))
    for place, rows in terms.groupby(["task", "test_set", "fraction"]).indices.items():
        covariance = covariances[place]
        used, columns = np.unique([covariance.cells[name] for name in cells[rows]], return_inverse=True)
        present, lines = np.unique(codes[rows], return_inverse=True)
        weights = np.zeros((len(present), len(used)))
        np.add.at(weights, (lines, columns), weight[rows])
        variance = ((weights @ covariance.matrix[np.ix_(used, used)]) * weights).sum(axis=1)
        total[present] += variance.clip(0)
    return pd.Series(total, names)


def _covariance(clusters: pd.DataFrame) -> Covariance:
    shape = {"index": CELL_NAME, "columns": "cluster", "fill_value": 0, "sort": True}
    correct = clusters.pivot_table(values="correct", **shape)
    predictions = clusters.pivot_table(values="predictions", **shape).to_numpy(dtype=float)
    right, total = correct.to_numpy(dtype=float), predictions.sum(axis=1, keepdims=True)
    errors = (right - right.sum(axis=1, keepdims=True) / total * predictions) / total
    # One cluster says nothing of how far others would differ.
    factor = errors.shape[1] / (errors.shape[1] - 1) if errors.shape[1] > 1 else np.nan
    return Covariance({name: row for row, name in enumerate(correct.index)}, factor * errors @ errors.T)
