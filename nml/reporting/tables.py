"""The tables of the study: Parquet for programs, Markdown and LaTeX for people."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd
import pyarrow as pa
from tabulate import tabulate

from nml.artifacts import write_parquet, write_text
from nml.errors import UserError
from nml.grid import UNTRAINED
from nml.reporting.ablations import ablations_table, method_entries
from nml.reporting.associations import associate, spectrum_points
from nml.reporting.averages import average_each_test_set, average_over_tasks, fractions_table, results_per_task
from nml.reporting.captions import TABLE_CAPTIONS, closing_note, seeds_note
from nml.reporting.claims import claims_table
from nml.reporting.costs import cost_table, run_times
from nml.reporting.datasets import datasets_table
from nml.reporting.differences import paired_differences
from nml.reporting.encoders import learning_table, pretraining_table
from nml.reporting.labels import HEADLINE_GROUPS, MAJORITY, TABLES
from nml.reporting.layout import SHOW, show_headline
from nml.reporting.matrix import (
    absent_of,
    complete_averages,
    count_missing,
    count_missing_pairs,
    count_missing_sets,
    matrix_note,
    matrix_table,
)
from nml.reporting.published import compare_published, read_published
from nml.reporting.ranks import average_ranks
from nml.reporting.reading import (
    SINGULAR_VALUES_COLUMNS,
    SPECTRUM_COLUMNS,
    no_rows,
    read_cells,
    read_singular_values,
    read_spectra,
)
from nml.reporting.sampling import sampling_covariances, sampling_variance
from nml.reporting.zoo import zoo_table

_ROWS_ON_A_PAGE = 45
_TERMINAL_WIDTH = 120
_OOD_NOTE = "OOD domains show the same concepts and are not independent: the OOD intervals may be too narrow."
_TEXT_COLUMNS = {
    *("metric", "corpus", "recipe", "noise", "address", "objective"),
    *("group", "task", "test set", "method", "minus", "methods", "quantity"),
    *("claim", "about", "measure", "verdict", "missing", "within", "source", "note", "licence", "rule", "GPU"),
    *("encoder", "state", "reason", "log", "variant", "changed", "model", "architecture", "weights"),
}
_UNICODE_TO_LATEX = {"±": r"$\pm$", "†": r"$\dagger$"}


def build_tables(
    cell_files: Sequence[str | Path],
    spectrum_files: Sequence[str | Path],
    encoder_metas: Sequence[str | Path],
    out_dir: str | Path,
    absent: Iterable[Mapping[str, str]] = (),
) -> None:
    """Write every table of `nml.reporting.labels.TABLES` to `out_dir`, and `main.txt`, the headline for a terminal.

    The predictions of `<method>.parquet` are read from `<method>.predictions.parquet` beside it. Of a matrix that is
    not complete, `absent` are the cells that cannot be used, as `nml.reporting.matrix.matrix_table` takes them:
    averages, differences, ranks, fractions and results per task then say how many they lack, and every caption that
    some do.

    Raises
    ------
    UserError
        A list is empty, or a file is missing, unreadable or contradicts another; see `nml.reporting.reading`.
    """
    cells = read_cells(cell_files)
    spectra, singular_values = _spectra(spectrum_files)
    covariances, points = sampling_covariances(cell_files), spectrum_points(cells, spectra)
    pretraining, sampling = pretraining_table(encoder_metas), sampling_variance(cell_files)
    matrix = matrix_table(cells, absent)
    lacking = absent_of(matrix, cells)
    averages = average_over_tasks(cells, sampling, covariances)
    each = average_each_test_set(cells[cells["task"].isin(read_published()["task"])], sampling, covariances)
    complete = complete_averages(averages, lacking)
    differences = count_missing_pairs(paired_differences(cells, covariances), lacking)
    tables = {
        "claims": claims_table(cells, points, pretraining, covariances, lacking),
        "cells": cells,
        "averages": complete,
        "differences": differences,
        "ranks": count_missing(average_ranks(cells), lacking, ["corpus", "recipe", "group"]),
        "fractions": fractions_table(complete),
        "ablations": ablations_table(cells, covariances, method_entries(cell_files), lacking["method"]),
        "per_task": count_missing_sets(results_per_task(cells, sampling, covariances), lacking),
        "published": compare_published(each, averages, pretraining),
        "zoo": zoo_table(complete, differences, spectra, encoder_metas),
        "spectra": spectra,
        "singular_values": singular_values,
        "associations": associate(points),
        "pretraining": pretraining,
        "learning": learning_table(encoder_metas),
        "run_times": run_times(cell_files),
        "cost": cost_table(Path(cell_files[0]).parents[6]),
        "datasets": datasets_table(cells),
        "matrix": matrix,
    }
    note = closing_note(tables["averages"], matrix)
    for name, frame in tables.items():
        write_table(frame, Path(out_dir) / name, note)
    write_text(Path(out_dir) / "main.txt", main_table(tables["averages"], matrix_note(matrix)) + "\n")


def _spectra(files: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the spectra and their singular values; no rows where methods that change the encoder ran alone so far."""
    if files:
        return read_spectra(files), read_singular_values(files)
    return no_rows(SPECTRUM_COLUMNS), no_rows(SINGULAR_VALUES_COLUMNS)


def write_table(frame: pd.DataFrame, stem: str | Path, note: str) -> None:
    """Write a table as `<stem>.parquet` (all of it), and as readers see it as `<stem>.md` and `<stem>.tex`.

    The stem's last part, one of `TABLES`, says how the table is laid out; the note ends its caption. Equal frames give
    equal bytes.
    """
    stem = Path(stem)
    shown, caption = SHOW[stem.name](frame), f"{TABLE_CAPTIONS[stem.name]} {note}"
    write_parquet(stem.with_suffix(".parquet"), {name: _column(frame[name]) for name in frame})
    write_text(stem.with_suffix(".md"), f"{caption}\n\n{as_markdown(shown)}\n")
    write_text(stem.with_suffix(".tex"), _latex(shown, caption))


def read_table(tables_dir: str | Path, name: str) -> pd.DataFrame:
    """Read a table that `build_tables` wrote.

    Raises
    ------
    UserError
        The table is not there.
    """
    path = Path(tables_dir) / f"{name}.parquet"
    if not path.is_file():
        raise UserError(f"{path} does not exist. Tables are {', '.join(TABLES)}; make them with snakemake {path}.")
    return pd.read_parquet(path)


def main_table(averages: pd.DataFrame, lack: str = "") -> str:
    """Return the headline as text for a terminal: accuracy by recipe and noise, method by ID and OOD, both controls.

    `lack` says what the matrix lacks.
    """
    text = _fit(show_headline(averages))
    units = averages.groupby("group")["tasks"].max()
    counts = ", ".join(
        f"{group.upper()} over {units[group]} {what}"
        for group, what in (("id", "tasks"), ("ood", "test domains"))
        if group in units
    )
    lines = [
        f"Accuracy in percent ± half of the 95 % confidence interval; {counts}.",
        "",
        text,
        "",
        f"Controls: {_controls(averages)}.",
        fill(f"{seeds_note(averages)} {_OOD_NOTE}", _TERMINAL_WIDTH),
    ]
    if "†" in text:
        lines.append("† fewer tasks than elsewhere in the group, or cells are missing: not comparable yet.")
    if lack:
        lines.append(f"{lack} Which and why: matrix.md beside this table.")
    return "\n".join(lines)


def _controls(averages: pd.DataFrame) -> str:
    found = {
        "the untrained encoder": UNTRAINED in set(averages["noise_kind"]),
        "the majority class, which uses no encoder (shown once, in the first column)": MAJORITY
        in set(averages["method"]),
    }
    return "; ".join(name for name, present in found.items() if present) or "none were run"


def _fit(table: pd.DataFrame) -> str:
    """Write the groups one below the other where they are too wide side by side."""
    text = _tabulate(table, "simple")
    if max(map(len, text.splitlines())) <= _TERMINAL_WIDTH:
        return text
    shared = [name for name in table if name in _TEXT_COLUMNS]
    groups = [[name for name in table if name.startswith(f"{group.upper()} ")] for group in HEADLINE_GROUPS]
    return "\n\n".join(_tabulate(table[shared + group], "simple") for group in groups if group)


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table of texts as Markdown."""
    return _tabulate(table.map(_in_markdown), "github")


def _in_markdown(value: object) -> object:
    """A bar would begin another column, and a line break another row; logs have both."""
    return " ".join(value.replace("|", "\\|").split()) if isinstance(value, str) else value


def _tabulate(table: pd.DataFrame, style: str) -> str:
    align = ["left" if name in _TEXT_COLUMNS else "right" for name in table]
    return tabulate(
        table.to_numpy().tolist(), headers=list(table), tablefmt=style, colalign=align, disable_numparse=True
    )


def _latex(table: pd.DataFrame, caption: str) -> str:
    style = "latex_booktabs" if len(table) <= _ROWS_ON_A_PAGE else "latex_longtable"
    text = _tabulate(table, style)
    for character, code in _UNICODE_TO_LATEX.items():
        text = text.replace(character, code)
    return f"% {caption}\n{text}\n"


def _column(values: pd.Series) -> pa.Array:
    kind = pa.string() if not pd.api.types.is_numeric_dtype(values) else None
    return pa.array(values, type=kind, from_pandas=True)
