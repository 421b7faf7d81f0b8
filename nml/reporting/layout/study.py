"""What the study is made of: data sets, cells, and the state of the matrix."""

import pandas as pd

from nml.reporting.labels import HEADLINE_GROUPS, method_label, method_rank
from nml.reporting.layout.noise_column import named_noise
from nml.reporting.layout.texts import ABSENT
from nml.reporting.matrix import encoder_of
from nml.reporting.schema import ENCODER
from nml.reporting.series import sort_rows

FAILED_STATES = ("failed",)


def show_datasets(datasets: pd.DataFrame) -> pd.DataFrame:
    """Write counts without decimals, in the order of the groups."""
    groups = (*HEADLINE_GROUPS, "source")
    rows = sort_rows(
        datasets,
        lambda row: (
            groups.index(row["group"]) if row["group"] in groups else len(groups),
            row["task"],
            row["test_set"],
        ),
    )
    counts = ["classes", "training_samples", "validation_samples"]
    texts = {name: [ABSENT if pd.isna(value) else f"{value:.0f}" for value in rows[name]] for name in counts}
    return rows.assign(**texts).rename(columns=lambda name: name.replace("_", " "))


def show_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Count what was run: tasks, test sets, methods and seeds of each encoder."""
    cells = cells.assign(test_set=cells["task"] + "/" + cells["test_set"])
    counts = cells.groupby(ENCODER).agg(
        tasks=("task", "nunique"),
        test_sets=("test_set", "nunique"),
        methods=("method", lambda methods: ", ".join(map(method_label, sorted(set(methods), key=method_rank)))),
        seeds=("seed", "nunique"),
        rows=("value", "size"),
    )
    return named_noise(counts.reset_index()).rename(columns={"test_sets": "test sets"})


def show_matrix(matrix: pd.DataFrame) -> pd.DataFrame:
    """Count the cells of each encoder by their state, and give each failed one a row with its reason and its log."""
    rows = matrix.assign(encoder=[str(encoder_of(row)) for row in matrix.to_dict("records")])
    rows = rows.assign(cell=rows["task"] + "/" + rows["method"])
    totals = rows.groupby("encoder")["cell"].transform("size")
    alone = rows["state"].isin(FAILED_STATES)
    counted = rows.assign(total=totals)[~alone].groupby(["encoder", "total", "state"]).size().reset_index(name="count")
    counted["cells"] = counted["count"].astype(str) + " of " + counted["total"].astype(str)
    table = pd.concat([rows[alone].rename(columns={"cell": "cells"}), counted])
    return table[["encoder", "state", "cells", "reason", "log"]].fillna("").reset_index(drop=True)
