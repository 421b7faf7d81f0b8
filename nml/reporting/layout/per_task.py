"""Results of each test set, one column for each noise ratio."""

import pandas as pd

from nml.reporting.labels import HEADLINE_METRIC, MAJORITY
from nml.reporting.layout.ratios import by_ratio, pivot_ratios, ratio_columns
from nml.reporting.layout.texts import ABSENT, DAGGER


def show_per_task(per_task: pd.DataFrame) -> pd.DataFrame:
    """Pivot accuracy to one row per recipe, test set, method and noise kind, and one column per noise ratio."""
    rows = per_task[per_task["metric"] == HEADLINE_METRIC]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    rows = rows.assign(text=[_spread(*row) for row in zip(rows["value"], rows["std"], rows["missing"], strict=True)])
    majority = rows["method"] == MAJORITY
    once = rows[majority].drop_duplicates(["recipe", "task", "test_set"])
    rows = by_ratio(rows[~majority])
    once = once.assign(corpus="", kind=ABSENT, column=ratio_columns(rows)[0] if len(rows) else "0 %")
    return pivot_ratios(pd.concat([rows, once]), "method")


def _spread(value: float, std: float, missing: int) -> str:
    return f"{100 * value:.1f}" + ("" if pd.isna(std) else f" ± {100 * std:.1f}") + DAGGER * (missing > 0)
