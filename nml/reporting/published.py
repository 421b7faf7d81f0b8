"""Our numbers beside the published ones, wherever the matrix has the same cell."""

from pathlib import Path

import numpy as np
import pandas as pd

from nml.grid import UNTRAINED
from nml.reporting.labels import HEADLINE_METRIC

FILE = Path(__file__).with_name("published.csv")
"""Published values in percent, only those with a source; `task` is `average` for an average over a group."""
_NOISE = ["corpus", "recipe", "noise_kind", "noise_percent"]
_CELL = [*_NOISE, "task", "test_set", "group", "method", "metric"]
_OURS = ["ours", "low", "high", "cells", "our_units"]
COLUMNS = [*_CELL, "published", "ours", "difference", "low", "high", "within", "cells", "source", "note"]
_AVERAGE = "average"


def read_published() -> pd.DataFrame:
    """Return the published values, `published` as a fraction, with the source in each row."""
    table = pd.read_csv(FILE, keep_default_na=False, dtype={"noise_percent": "float64"})
    table["units"] = pd.to_numeric(table["units"])
    return table.assign(published=table["value"] / 100).drop(columns="value")


def compare_published(task_averages: pd.DataFrame, averages: pd.DataFrame, pretraining: pd.DataFrame) -> pd.DataFrame:
    """Set our values beside the published ones.

    A published value of a task is compared with the same task and test set, one of a group with our average over that
    group if it is over as many data sets, one of pre-training with the clean validation accuracy, averaged over
    pre-training seeds; all with the whole of the training data. Published values have no interval, so `within` says
    whether ours covers the published value.

    Parameters
    ----------
    task_averages
        Rows of `nml.reporting.averages.average_each_test_set`.
    averages, pretraining
        The tables of these names.

    Returns
    -------
    One row for each published value, `COLUMNS`, in the order of the file. `ours`, `difference` (ours minus published),
    `low`, `high` (the 95 % interval of ours; fractions) are missing where the matrix does not have the cell, and
    `cells` is 0; for pre-training the interval is missing too, and `cells` counts encoders.
    """
    ours = pd.concat([_tasks(task_averages), _groups(averages), _pretraining(pretraining)], ignore_index=True)
    table = read_published().merge(ours, on=_CELL, how="left", validate="many_to_one")
    # An average over other data sets is another number.
    other = table["units"].notna() & (table["units"] != table["our_units"])
    table[_OURS] = table[_OURS].mask(other)
    known = table["low"].notna()
    within = np.where(known, (table["low"] <= table["published"]) & (table["published"] <= table["high"]), False)
    return table.assign(
        difference=table["ours"] - table["published"],
        within=pd.Series(within, table.index).map({True: "yes", False: "no"}).where(known, ""),
        cells=table["cells"].fillna(0).astype("int64"),
    )[COLUMNS]


def _tasks(rows: pd.DataFrame) -> pd.DataFrame:
    return _whole(rows)[[*_CELL, *_OURS]]


def _groups(rows: pd.DataFrame) -> pd.DataFrame:
    return _whole(rows).assign(task=_AVERAGE, test_set="")[[*_CELL, *_OURS]]


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["fraction"] == 100) & (rows["metric"] == HEADLINE_METRIC)].rename(
        columns={"value": "ours", "tasks": "our_units"}
    )


def _pretraining(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["noise_kind"] != UNTRAINED].dropna(subset=["validation_accuracy"])
    means = rows.groupby(_NOISE)["validation_accuracy"].agg(ours="mean", cells="size").reset_index()
    place = {"task": "", "test_set": "", "group": "pretraining", "method": "", "metric": "validation_accuracy"}
    return means.assign(**place, low=np.nan, high=np.nan, our_units=np.nan)
