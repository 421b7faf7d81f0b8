"""How far accuracy would move with other test samples: a variance that knows which images belong together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nml.reporting.predictions import read_clusters
from nml.reporting.schema import CELL_NAME, ENCODER

SAMPLING_KEY = [*ENCODER, "task", "test_set", "method", "fraction"]


class Covariance(NamedTuple):
    """The covariance of the accuracies of cells on one test set, which they share."""

    cells: dict[tuple, int]
    """The row of each cell, by (corpus, recipe, noise kind, noise percent, pre-training seed, task, method)."""
    matrix: np.ndarray
    """float64, shape (cells, cells); of fractions."""


Covariances = Mapping[tuple[str, str, int], Covariance]
"""By (task, test set, fraction)."""


class Sampling(NamedTuple):
    """How far accuracies would move with other test samples; see `sampling_of`."""

    variance: pd.DataFrame
    """`SAMPLING_KEY`, `clusters` (independent of each other) and `variance` (of a fraction in [0, 1]); sorted."""
    covariances: Covariances
    """For each (task, test set, fraction)."""


def sampling_of(cell_files: Sequence[str | Path]) -> Sampling:
    r"""Return how far the accuracy of each cell, and the difference of any two, would move with other test samples.

    Test images may be views of one drawing or of one font, which are right or wrong together; these clusters, not
    images, are independent. With :math:`R_c` right of :math:`M_c` predictions on cluster c (all its images and seeds),
    the cluster-robust variance of accuracy, averaged over tuning seeds, is

    .. math:: V = \frac{\sum_c (R_c - \tilde p M_c)^2}{(\sum_c M_c)^2}, \qquad \tilde p = \frac{\sum_c R_c}{\sum_c M_c},

    where four clusters of average size are added, two right and two wrong, so that V stays positive at 0 and 1. With
    one image per cluster and one seed this is the variance of Agresti and Coull (1998), p (1 - p) / (n + 4).

    Cells that are right and wrong on the same samples differ by less than their own intervals say; with the covariance
    of C clusters the variance of any weighted sum of cells, :math:`\sum_i a_i p_i`, is :math:`a^T \Sigma a`, paired by
    test sample:

    .. math:: \Sigma_{ij} = \frac{C}{C - 1} \sum_c e_{ic} e_{jc}, \qquad
              e_{ic} = \frac{R_{ic} - p_i M_{ic}}{\sum_c M_{ic}}.

    This is what a bootstrap of whole clusters gives in the limit of many resamples, up to C / (C - 1).

    Parameters
    ----------
    cell_files
        Cells, one or more; the predictions of `<method>.parquet` are read from `<method>.predictions.parquet` beside
        it, those of a task together. The cluster of a sample is its key up to the first `__`, or all of the key.

    Raises
    ------
    UserError
        A file is missing or unreadable.
    """
    tasks = defaultdict(list)
    for file in cell_files:
        tasks[Path(file).parent.name].append(file)
    variances, covariances = [], {}
    for task in sorted(tasks):
        cells, counts = read_clusters(tasks[task])
        for (test_set, fraction), part in counts.groupby(["test_set", "fraction"]):
            found = _accuracies(cells, part)
            variances.append(_variances(found).assign(test_set=test_set, fraction=fraction))
            covariances[task, test_set, int(fraction)] = _covariance(found)
    table = pd.concat(variances).sort_values(SAMPLING_KEY, ignore_index=True)
    return Sampling(table[[*SAMPLING_KEY, "clusters", "variance"]], covariances)


class _Accuracies(NamedTuple):
    """What cells predicted right on one test set: `CELL_NAME` of each, and counts, float64, shape (cells, clusters)."""

    cells: pd.DataFrame
    correct: np.ndarray
    predictions: np.ndarray


def _accuracies(cells: pd.DataFrame, counts: pd.DataFrame) -> _Accuracies:
    present, rows = np.unique(counts["cell"], return_inverse=True)
    columns, names = pd.factorize(counts["cluster"], sort=True)
    correct, predictions = np.zeros((2, len(present), len(names)))
    correct[rows, columns], predictions[rows, columns] = counts["correct"], counts["predictions"]
    return _Accuracies(cells.iloc[present], correct, predictions)


def _variances(found: _Accuracies) -> pd.DataFrame:
    right, made = found.correct, found.predictions
    clusters = (made > 0).sum(axis=1)
    size = made.sum(axis=1) / clusters
    total = made.sum(axis=1) + 4 * size
    share = (right.sum(axis=1) + 2 * size) / total
    squares = (right**2).sum(axis=1) - 2 * share * (right * made).sum(axis=1) + share**2 * (made**2).sum(axis=1)
    added = 2 * size**2 * (share**2 + (1 - share) ** 2)
    return found.cells.assign(clusters=clusters, variance=(squares + added) / total**2)


def _covariance(found: _Accuracies) -> Covariance:
    right, total = found.correct, found.predictions.sum(axis=1, keepdims=True)
    errors = (right - right.sum(axis=1, keepdims=True) / total * found.predictions) / total
    # One cluster says nothing of how far others would differ.
    factor = errors.shape[1] / (errors.shape[1] - 1) if errors.shape[1] > 1 else np.nan
    names = found.cells.itertuples(index=False, name=None)
    return Covariance({name: row for row, name in enumerate(names)}, factor * errors @ errors.T)


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
        `contrast` (int), `nml.reporting.schema.CELL_NAME`, `test_set`, `fraction` and `weight` of each cell.
    covariances
        Of the test sets of these cells.

    Returns
    -------
    :math:`V_\text{test}`, indexed by contrast, and :math:`V_\text{both}` (0 for families with one seed), indexed by
    contrast, corpus and recipe; summed over test sets.
    """
    family = ["contrast", "corpus", "recipe"]
    keys = (["contrast"], family, [*family, "pretrain_seed"])
    whole, families, seeds = (_quadratic(terms, key, covariances) for key in keys)
    number = seeds.groupby(family).size()
    both = (number * seeds.groupby(family).sum() - families) / (number - 1).where(number > 1)
    return whole, both.fillna(0.0).clip(lower=0.0)


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
