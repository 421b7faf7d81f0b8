"""Hand-made cells for the tests."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nml.reporting.averages import average_over_tasks
from nml.reporting.sampling import SAMPLING_KEY, Covariance
from nml.reporting.schema import CELL_COLUMNS, CELL_NAME


def cell_rows(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Fill in what a test does not care about."""
    usual = {
        "corpus": "emoji", "recipe": "resnet-mini", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0,
        "task": "a", "group": "id", "test_set": "test", "method": "lp", "fraction": 100, "seed": 0,
        "metric": "accuracy", "value": 0.5, "n": 100,
    }  # fmt: skip
    return pd.DataFrame([usual | row for row in rows])[CELL_COLUMNS]


def averages_of(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Average hand-made cells whose `n` test images are all independent, with one prediction for each."""
    return average_over_tasks(*sampled(rows))


def sampled(rows: Iterable[dict[str, object]]) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """Return hand-made cells and how far other test samples would move them."""
    cells = cell_rows(rows)
    means = cells.groupby(SAMPLING_KEY).agg(share=("value", "mean"), n=("n", "min")).reset_index()
    share = (means["n"] * means["share"] + 2) / (means["n"] + 4)
    variance = share * (1 - share) / (means["n"] + 4)
    return cells, means[SAMPLING_KEY].assign(clusters=means["n"], variance=variance), exact(cells)


def exact(cells: pd.DataFrame) -> dict[tuple[str, str, int], Covariance]:
    """Return covariances of test sets so large that they add nothing."""
    found = {}
    for place, part in cells.groupby(["task", "test_set", "fraction"]):
        names = sorted(set(part[CELL_NAME].itertuples(index=False, name=None)))
        found[place] = Covariance({name: row for row, name in enumerate(names)}, np.zeros((len(names),) * 2))
    return found
