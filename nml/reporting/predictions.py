"""Read how much of each cluster of test images was predicted right."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nml.reporting.reading import query_files
from nml.reporting.schema import CELL_NAME, PREDICTIONS_SUFFIX, quoted


class Clusters(NamedTuple):
    """What cells predicted right of each cluster of test images.

    A cluster, such as the views of one drawing, is what the key of a sample names up to the first `__`.
    """

    cells: pd.DataFrame
    """`CELL_NAME` of each cell; sorted, the index counts from 0."""
    counts: pd.DataFrame
    """`cell` (a row of `cells`), `test_set, fraction, cluster` and `correct, predictions`; in no order.

    The last two are int64, counts over the images of the cluster and the tuning seeds.
    """


def read_clusters(cell_files: Sequence[str | Path]) -> Clusters:
    """Return how much of each cluster of test images was predicted right, by each cell of one task.

    Parameters
    ----------
    cell_files
        Cells of one task, so that a table of all clusters fits into memory; `<method>.predictions.parquet` lies beside
        `<method>.parquet`.

    Raises
    ------
    UserError
        No cells, or a file is missing or unreadable.
    """
    query = """
        SELECT filename, test_set, fraction, split_part("key", '__', 1) AS cluster,
               count(*) FILTER (label = prediction) AS correct, count(*) AS predictions
        FROM files GROUP BY ALL
    """
    cells = query_files(cell_files, f"SELECT DISTINCT {quoted(CELL_NAME)}, filename FROM files", "cells")
    cells = cells.sort_values(CELL_NAME, ignore_index=True)
    counts = query_files([_beside(file) for file in cell_files], query, "predictions")
    rows = {_beside(file): row for row, file in enumerate(cells["filename"])}
    return Clusters(cells[CELL_NAME], counts.assign(cell=counts["filename"].map(rows)).drop(columns="filename"))


def _beside(cell: str | Path) -> str:
    return str(Path(cell).with_suffix(PREDICTIONS_SUFFIX))
