"""The data sets of the study: classes, training samples, and the test sets with their sizes."""

import pandas as pd

from nml import plugins
from nml.artifacts import read_json
from nml.plugins import PACKAGE


def datasets_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each task and test set in the cells.

    Returns
    -------
    DataFrame with `task, group, test_set, test_samples` (from the cells), and `classes, training_samples,
    validation_samples, licence` as the data set's `info.json` says; missing where the data set is not on this machine.
    """
    sets = cells.groupby(["task", "group", "test_set"])["n"].min().rename("test_samples").reset_index()
    facts = {task: _facts(task) for task in sets["task"].unique()}
    described = pd.DataFrame([facts[task] for task in sets["task"]], columns=list(_facts("")))
    return pd.concat([sets, described], axis=1).astype({"licence": "str"})


def _facts(task: str) -> dict[str, object]:
    info_file = PACKAGE.parent / plugins.tasks().get(task, {}).get("path", "nowhere") / "info.json"
    info = read_json(info_file) if info_file.is_file() else {}
    splits = info.get("splits", {})
    return {
        "classes": float(info.get("classes", "nan")),
        "training_samples": float(splits.get("train", {}).get("samples", "nan")),
        "validation_samples": float(splits.get("val", {}).get("samples", "nan")),
        "licence": info.get("licence", ""),
    }
