"""The data sets of the study: classes, training samples, and the test sets with their sizes."""

from math import nan as NAN

import pandas as pd

from nml import plugins
from nml.artifacts import read_json
from nml.grid import TaskAddress
from nml.plugins import PACKAGE
from nml.task_entries import TaskEntry


def datasets_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each task and test set in the cells.

    Returns
    -------
    DataFrame with `task, group, test_set, test_samples` (from the cells), and `classes, training_samples,
    validation_samples, licence` as the catalogue, or the `info.json` of a task that comes with this project, says.
    """
    sets = cells.groupby(["task", "group", "test_set"])["n"].min().rename("test_samples").reset_index()
    facts = {task: _facts(task) for task in sets["task"].unique()}
    described = pd.DataFrame([facts[task] for task in sets["task"]], columns=list(_facts("")))
    return pd.concat([sets, described], axis=1).astype({"licence": "str"})


def _facts(task: str) -> dict[str, object]:
    """Return what the catalogue, or for a task that comes with this project its `info.json`, says of a data set."""
    entry = plugins.tasks().get(TaskAddress.parse(task).name) if task else None
    if isinstance(entry, TaskEntry):
        # The layout on the disk of the machine that ran it decides how many are trained on, and is not known here.
        return _row(entry.classes, licence=entry.licence)
    info_file = PACKAGE.parent / entry.path / "info.json" if entry else None
    if info_file is None or not info_file.is_file():
        return _row()
    info = read_json(info_file)
    sizes = [info["splits"][split]["samples"] for split in ("train", "val")]
    return _row(info["classes"], *sizes, info["licence"])


def _row(classes: float = NAN, training: float = NAN, validation: float = NAN, licence: str = "") -> dict[str, object]:
    samples = {"training_samples": float(training), "validation_samples": float(validation)}
    return {"classes": float(classes), **samples, "licence": licence}
