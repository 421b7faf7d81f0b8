"""Which cells of the matrix are there, and what the averages lack where some are not."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from nml import plugins
from nml.grid import UNTRAINED, Encoder, Noise, TaskAddress, cell_path
from nml.reporting.averages import AVERAGE_KEY, NOISE, TASK_KEY
from nml.reporting.labels import HEADLINE_GROUPS
from nml.reporting.schema import CELL_NAME, ENCODER

DONE = "done"
MATRIX_COLUMNS = [*CELL_NAME, "state", "reason", "log", "path"]
_ARM = [*NOISE, "method", "group"]


def matrix_table(cells: pd.DataFrame, absent: Iterable[Mapping[str, str]] = ()) -> pd.DataFrame:
    """Return one row for each cell of the matrix: those with rows, and those that are absent.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    absent
        Cells that were asked for and cannot be used: `path` (`results/cells/<encoder>/<task>/<method>.parquet`),
        `state` (such as `missing` or `failed`), `reason` and `log`, the last two perhaps empty.

    Returns
    -------
    DataFrame with `MATRIX_COLUMNS`, sorted by cell; `state` is `done` for those with rows.
    """
    rows = [_identity(row["path"]) | dict(row) for row in absent]
    done = cells[CELL_NAME].drop_duplicates()
    done = done.assign(state=DONE, reason="", log="", path=[path_of(row) for row in done.to_dict("records")])
    table = pd.concat([done, pd.DataFrame(rows, columns=MATRIX_COLUMNS)]) if rows else done
    return table.astype(dict(done.dtypes))[MATRIX_COLUMNS].sort_values(CELL_NAME, ignore_index=True)


def path_of(cell: Mapping[str, object]) -> str:
    """Return the path of a cell that is given by `CELL_NAME`."""
    return str(cell_path(encoder_of(cell), str(cell["task"]), str(cell["method"])))


def encoder_of(row: Mapping[str, object]) -> Encoder:
    """Return the encoder of a row with the columns `ENCODER`."""
    corpus, recipe, kind, percent, seed = (row[name] for name in ENCODER)
    return Encoder(corpus, recipe, Noise(kind, percent), seed)


def absent_of(matrix: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a matrix that are not done, one for each `group` that the cell would have.

    The groups of a task are those of its other cells; where there are none, those of the catalogue; of a task that is
    in neither, ID and OOD.
    """
    absent = matrix[matrix["state"] != DONE]
    seen = cells.groupby("task")["group"].unique().to_dict()
    groups = {task: list(seen.get(task, _catalogued(task))) for task in absent["task"].unique()}
    return absent.assign(group=absent["task"].map(groups)).explode("group", ignore_index=True)


def complete_averages(averages: pd.DataFrame, absent: pd.DataFrame) -> pd.DataFrame:
    """Add what each average lacks: `missing`, the number of absent cells, and `missing_tasks`, their names.

    An average without any cell gets a row with 0 cells and no value.
    """
    lacks = absent.groupby(_ARM).agg(missing=("task", "size"), missing_tasks=("task", _names)).reset_index()
    lacks = lacks.merge(averages[["fraction", "metric"]].drop_duplicates(), how="cross")
    table = averages.merge(lacks.astype(averages.dtypes[_ARM].to_dict()), on=AVERAGE_KEY, how="outer")
    counts = ["tasks", "cells", "pretrain_seeds", "tuning_seeds", "missing"]
    table = table.fillna({**dict.fromkeys(counts, 0), "missing_tasks": ""}).astype(dict.fromkeys(counts, "int64"))
    return table.sort_values(AVERAGE_KEY, ignore_index=True)


def count_missing(table: pd.DataFrame, absent: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Add `missing`: how many cells that agree with a row in the key are absent; controls count only as themselves."""
    trained = absent if "noise_kind" in key else absent[absent["noise_kind"] != UNTRAINED]
    counts = trained.drop_duplicates([*CELL_NAME, "group"]).groupby(list(key)).size()
    places = table[list(key)].itertuples(index=False, name=None)
    found = counts.to_dict()
    return table.assign(missing=pd.Series([found.get(place, 0) for place in places], table.index, dtype="int64"))


def count_missing_sets(per_task: pd.DataFrame, absent: pd.DataFrame) -> pd.DataFrame:
    """Add `missing` to the results of each test set: how many pre-training seeds lack the cell."""
    return count_missing(per_task, absent, [name for name in TASK_KEY if name in (*_ARM, "task")])


def count_missing_pairs(differences: pd.DataFrame, absent: pd.DataFrame) -> pd.DataFrame:
    """Add `missing` to paired differences: the absent cells on either side."""
    key = [*NOISE, "method", "group"]
    by_noise = differences["comparison"] == "noise"
    other = differences.assign(
        noise_kind=differences["noise_kind"].where(~by_noise, "clean"),
        noise_percent=differences["noise_percent"].where(~by_noise, 0.0),
        method=differences["method"].where(by_noise, differences["baseline"]),
    )
    sides = (count_missing(side, absent, key)["missing"] for side in (differences, other))
    return differences.assign(missing=sum(sides))


def matrix_note(matrix: pd.DataFrame) -> str:
    """Say that a matrix is not complete, and what of it is there; empty for one that is."""
    counts = matrix["state"].value_counts()
    if counts.get(DONE, 0) == len(matrix):
        return ""
    others = ", ".join(f"{counts[state]} {state}" for state in sorted(set(counts.index) - {DONE}))
    return f"The matrix is not complete: {counts.get(DONE, 0)} of {len(matrix)} cells are there ({others})."


def _identity(path: str) -> dict[str, object]:
    parts = Path(path).parts
    encoder = Encoder.parse("/".join(parts[-6:-2]))
    return encoder.identity() | {"task": parts[-2], "method": Path(path).stem}


def _catalogued(task: str) -> list[str]:
    address = TaskAddress.parse(task)
    entry = plugins.tasks().get(address.name)
    suffix = f"+{address.noise}" if address.noise.percent else ""
    return sorted({f"{group}{suffix}" for group in entry.tests.values()}) if entry else list(HEADLINE_GROUPS)


def _names(tasks: pd.Series) -> str:
    return ", ".join(sorted(set(tasks)))
