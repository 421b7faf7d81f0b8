"""Read how much of each cluster of test images was predicted right."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.reporting.reading import CELL_NAME, ENCODER, PREDICTIONS_SUFFIX, query_files, quoted


def read_unit_sums(cell_files: Sequence[str | Path]) -> pd.DataFrame:
    """Return sums over the clusters of test images of each test set, from the predictions beside the cells.

    A cluster, such as the views of one drawing, is what the key names up to the first `__`. With R right of M
    predictions on a cluster, over its images and the tuning seeds, the sums over clusters are `correct` (R),
    `predictions` (M), `correct_squared` (R^2), `cross` (R M) and `predictions_squared` (M^2).

    Parameters
    ----------
    cell_files
        Cells; `<method>.predictions.parquet` lies beside `<method>.parquet`.

    Returns
    -------
    DataFrame with the encoder, `task, test_set, method, fraction, clusters` and the sums, int64; sorted.

    Raises
    ------
    UserError
        No cells, or a file is missing or unreadable.
    """
    owner = quoted([*ENCODER, "task", "method"])
    files = [str(Path(file).with_suffix(PREDICTIONS_SUFFIX)) for file in cell_files]
    cells = query_files(cell_files, f"SELECT DISTINCT {owner}, filename AS cell FROM files", "cells")
    query = """
        WITH clusters AS (
            SELECT filename, test_set, fraction, split_part("key", '__', 1) AS cluster,
                   count(*) FILTER (label = prediction) AS r, count(*) AS m
            FROM files GROUP BY ALL
        )
        SELECT filename, test_set, fraction, count(*) AS clusters, sum(r)::BIGINT AS correct,
               sum(m)::BIGINT AS predictions, sum(r * r)::BIGINT AS correct_squared, sum(r * m)::BIGINT AS "cross",
               sum(m * m)::BIGINT AS predictions_squared
        FROM clusters GROUP BY ALL
    """
    sums = query_files(files, query, "predictions")
    cells["filename"] = [str(Path(cell).with_suffix(PREDICTIONS_SUFFIX)) for cell in cells["cell"]]
    frame = cells.merge(sums, on="filename").drop(columns=["cell", "filename"])
    return frame.sort_values([*ENCODER, "task", "test_set", "method", "fraction"], ignore_index=True)


def read_clusters(cell_files: Sequence[str | Path]) -> pd.DataFrame:
    """Return how much of each cluster of test images was predicted right, by each cell of one task.

    Parameters
    ----------
    cell_files
        Cells of one task, so that a table of all clusters fits into memory.

    Returns
    -------
    DataFrame with `CELL_NAME` (the cell), `test_set, fraction, cluster` and `correct, predictions` (int64: counts over
    the images of the cluster and the tuning seeds); in no order.

    Raises
    ------
    UserError
        No cells, or a file is missing or unreadable.
    """
    files = [str(Path(file).with_suffix(PREDICTIONS_SUFFIX)) for file in cell_files]
    query = """
        SELECT filename, test_set, fraction, split_part("key", '__', 1) AS cluster,
               count(*) FILTER (label = prediction) AS correct, count(*) AS predictions
        FROM files GROUP BY ALL
    """
    owner = quoted(CELL_NAME)
    cells = query_files(cell_files, f"SELECT DISTINCT {owner}, filename AS cell FROM files", "cells")
    cells["filename"] = [str(Path(cell).with_suffix(PREDICTIONS_SUFFIX)) for cell in cells["cell"]]
    clusters = query_files(files, query, "predictions").merge(cells.drop(columns="cell"), on="filename")
    return clusters.drop(columns="filename")
