"""Rows arranged as curves over the noise ratio, and sorted as a reader expects."""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from nml.grid import CLEAN

SERIES = ["corpus", "recipe", "kind"]
"""What tells the curves over the noise ratio apart."""


def noise_series(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the column `kind`: the noise kind a row is drawn with; clean rows repeat for every kind of their recipe."""
    if frame.empty:
        return frame.assign(kind="")
    noisy = frame[frame["noise_percent"] > 0]
    kinds = noisy[["corpus", "recipe", "noise_kind"]].drop_duplicates().rename(columns={"noise_kind": "kind"})
    clean = frame[frame["noise_kind"] == CLEAN].merge(kinds, on=["corpus", "recipe"], how="left")
    clean["kind"] = clean["kind"].fillna(CLEAN)
    rest = frame[(frame["noise_percent"] <= 0) & (frame["noise_kind"] != CLEAN)]
    parts = [clean, noisy.assign(kind=noisy["noise_kind"]), rest.assign(kind=rest["noise_kind"])]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def sort_rows(frame: pd.DataFrame, key: Callable[[dict[str, Any]], tuple]) -> pd.DataFrame:
    """Sort the rows by a key computed from each, given as a dictionary by column; the index is reset."""
    keys = [key(row) for row in frame.to_dict("records")]
    return frame.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)


def recipes_of(names: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return each (corpus, recipe) of the curves once, in their order, by which figures choose markers and panels."""
    return list(dict.fromkeys((corpus, recipe) for corpus, recipe, _ in names))


def of_recipe(rows: pd.DataFrame, recipe: tuple[str, str]) -> pd.Series:
    """Return which rows are of a (corpus, recipe); boolean."""
    return (rows["corpus"] == recipe[0]) & (rows["recipe"] == recipe[1])
