"""One column for each noise ratio."""

from typing import Any

import pandas as pd

from nml.grid import CLEAN, UNTRAINED
from nml.reporting.labels import HEADLINE_GROUPS, method_label, method_rank, noise_rank
from nml.reporting.layout.noise_column import without_single_corpus
from nml.reporting.layout.texts import ABSENT
from nml.reporting.series import noise_series, sort_rows


def by_ratio(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `kind` and `column` (the ratio); the untrained control stands in the rows of its recipe's noise kinds."""
    trained = noise_series(rows[rows["noise_kind"] != UNTRAINED])
    homes = trained[["corpus", "recipe", "kind"]].drop_duplicates()
    control = rows[rows["noise_kind"] == UNTRAINED].merge(homes, on=["corpus", "recipe"], how="left")
    control = control.fillna({"kind": ABSENT})
    rows = pd.concat([trained, control], ignore_index=True)
    labels = [
        f"{percent:g} %" if percent > 0 or kind == CLEAN else kind
        for kind, percent in zip(rows["noise_kind"], rows["noise_percent"], strict=True)
    ]
    return rows.assign(column=labels)


def ratio_columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns of `by_ratio` from the lowest ratio to the highest, then the controls."""
    ratios = rows[["noise_kind", "noise_percent", "column"]].drop_duplicates("column")
    return list(
        sort_rows(ratios, lambda row: (noise_rank(row["noise_kind"], 0)[0] > 1, row["noise_percent"]))["column"]
    )


def pivot_ratios(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Pivot rows of `by_ratio` to one row per recipe, test set, `what` and noise kind, one column per ratio."""
    index = ["recipe", "group", "task", "test_set", what, "corpus", "kind"]
    table = rows.pivot(index=index, columns="column", values="text")[ratio_columns(rows)].fillna("").reset_index()
    table = sort_rows(table, lambda row: _task_position(row, what))
    if what == "method":
        table["method"] = table["method"].map(method_label)
    return without_single_corpus(table).rename(columns={"test_set": "test set", "kind": "noise"})


def _task_position(row: dict[str, Any], what: str) -> tuple:
    groups = (*HEADLINE_GROUPS, "source")
    group = groups.index(row["group"]) if row["group"] in groups else len(groups)
    subject = method_rank(row[what]) if what == "method" else row[what]
    return row["recipe"], group, row["group"], row["task"], row["test_set"], subject, row["corpus"], row["kind"]
