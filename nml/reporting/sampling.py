"""How far accuracy would move with other test samples: a variance that knows which images belong together."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.reporting.reading import ENCODER, read_unit_sums

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
