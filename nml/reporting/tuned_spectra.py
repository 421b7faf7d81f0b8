"""The spectra of what tuning makes of the features, against the noise in pre-training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from nml.reporting.associations import PAIRS
from nml.reporting.averages import CONFIDENCE, NOISE
from nml.reporting.metadata import QUANTITIES, spectra_of
from nml.reporting.reading import no_rows
from nml.reporting.schema import CELL_NAME

COLUMNS = [*CELL_NAME, "group", "test_set", *QUANTITIES]
AVERAGE_COLUMNS = [*NOISE, "method", "group", "quantity", "value", "low", "high", "test_sets", "of", "pretrain_seeds"]


def tuned_spectra(cells: pd.DataFrame, cell_files: Sequence[str | Path]) -> pd.DataFrame:
    """Return the spectra of tuned features on each test set, from `spectra` in `<method>.meta.json` beside each cell.

    A method that is not trained has none. Where a cell has several fractions, they are of the largest.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    cell_files
        Their files, `results/cells/<encoder>/<task>/<method>.parquet`.

    Returns
    -------
    DataFrame with `COLUMNS`; `sve` and `lsvr` in nats, means over the tuning seeds; sorted.

    Raises
    ------
    UserError
        A metadata file is not there, or cannot be read.
    """
    found = [row for file in map(Path, cell_files) for row in spectra_of(file)]
    if not found:
        return no_rows(COLUMNS).astype({"method": "str"})
    keys = [*CELL_NAME, "test_set"]
    groups = cells[[*keys, "group"]].drop_duplicates(keys)
    table = pd.DataFrame(found).merge(groups, on=keys)[COLUMNS]
    return table.sort_values(COLUMNS[: -len(QUANTITIES)], ignore_index=True)


def average_tuned_spectra(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean SVE over ID test sets and LSVR over OOD test sets of each method and noise.

    Only test sets that every encoder and method of a recipe has are averaged, so that all means are over the same ones.

    Parameters
    ----------
    table
        The table `tuned_spectra`.

    Returns
    -------
    DataFrame with `AVERAGE_COLUMNS`: `low, high` are the 95 % interval of Student's t over pre-training seeds, missing
    with one; `test_sets` were averaged, `of` is how many any encoder has; sorted.
    """
    parts = [
        _average(table[(table["group"] == group) & (table["corpus"] == corpus) & (table["recipe"] == recipe)], quantity)
        for corpus, recipe in table[["corpus", "recipe"]].drop_duplicates().itertuples(index=False)
        for group, quantity in PAIRS
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_rows(AVERAGE_COLUMNS).astype({"method": "str", "quantity": "str"})
    return pd.concat(parts, ignore_index=True)[AVERAGE_COLUMNS]


def _average(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the averages of one recipe and group."""
    head = [*NOISE, "method"]
    values = rows.pivot(index=["task", "test_set"], columns=[*head, "pretrain_seed"], values=quantity)
    means = values.dropna().mean().dropna().groupby(head)
    found = means.agg(["mean", "std", "size"]).reset_index().rename(columns={"mean": "value", "size": "pretrain_seeds"})
    freedom = (found["pretrain_seeds"] - 1).clip(lower=1)
    half = student_t.ppf(0.5 + CONFIDENCE / 2, freedom) * found["std"] / np.sqrt(found["pretrain_seeds"])
    place = {"group": rows["group"].max(), "quantity": quantity, "test_sets": len(values.dropna()), "of": len(values)}
    return found.assign(low=found["value"] - half, high=found["value"] + half, **place)
