"""The tables of the study: Parquet for programs, Markdown and LaTeX for people."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from nml.artifacts import write_text
from nml.errors import UserError
from nml.reporting.ablations import ablations_table, method_entries
from nml.reporting.associations import associate, spectrum_points
from nml.reporting.averages import average_each_test_set, average_over_tasks, fractions_table, results_per_task
from nml.reporting.captions import closing_note
from nml.reporting.claims import claims_table
from nml.reporting.costs import cost_table, run_times
from nml.reporting.datasets import datasets_table
from nml.reporting.differences import paired_differences
from nml.reporting.digest import DIGEST_KEY, address_of, cells_digest
from nml.reporting.encoders import learning_table, pretraining_table
from nml.reporting.headline import main_table
from nml.reporting.labels import TABLES
from nml.reporting.matrix import (
    DONE,
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
from nml.reporting.reading import no_rows, read_cells, read_singular_values, read_spectra
from nml.reporting.sampling import sampling_of
from nml.reporting.schema import SINGULAR_VALUES_COLUMNS, SPECTRUM_COLUMNS
from nml.reporting.tuned_spectra import tuned_spectra
from nml.reporting.writing import NO_METADATA, write_table
from nml.reporting.zoo import zoo_table


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
        A list is empty, or a file is missing, unreadable, or contradicts another or its path; see
        `nml.reporting.reading`.
    """
    # Before they are read: if one changes meanwhile, the digest is not that of what is there then.
    digest = cells_digest(cell_files)
    cells = read_cells(cell_files)
    matrix = matrix_table(cells, absent)
    _require_rows_of(cell_files, matrix)
    spectra, singular_values = _spectra(spectrum_files)
    sampling, covariances = sampling_of(cell_files)
    pretraining, points = pretraining_table(encoder_metas), spectrum_points(cells, spectra)
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
        "tuned_spectra": tuned_spectra(cells, cell_files),
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
        write_table(frame, Path(out_dir) / name, note, {DIGEST_KEY: digest} if name == "cells" else NO_METADATA)
    write_text(Path(out_dir) / "main.txt", main_table(tables["averages"], matrix_note(matrix)) + "\n")


def _require_rows_of(cell_files: Sequence[str | Path], matrix: pd.DataFrame) -> None:
    """Refuse a file without rows of the cell that its path names: the averages would silently be thinner."""
    done = {address_of(path) for path in matrix.loc[matrix["state"] == DONE, "path"]}
    for file in cell_files:
        if address_of(file) not in done:
            raise UserError(f"{file} has no rows of the cell that its path names. Delete it and rerun.")


def _spectra(files: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the spectra and their singular values; no rows where methods that change the encoder ran alone so far."""
    if files:
        return read_spectra(files), read_singular_values(files)
    return no_rows(SPECTRUM_COLUMNS), no_rows(SINGULAR_VALUES_COLUMNS)


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
