"""Read many small Parquet files in one query, and refuse what cannot be averaged."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import pandas as pd

from nml.errors import UserError
from nml.reporting.schema import (
    CELL_COLUMNS,
    CELL_KEY,
    ENCODER,
    SPECTRUM_COLUMNS,
    SPECTRUM_KEY,
    quoted,
    refuse_other_versions,
)

_NAMES = ("corpus", "recipe", "noise_kind", "task", "group", "test_set")


def no_rows(columns: Iterable[str]) -> pd.DataFrame:
    """Return an empty table with these columns: names are text, the others numbers."""
    return pd.DataFrame({name: pd.Series(dtype="str" if name in _NAMES else "float64") for name in columns})


def read_cells(files: Sequence[str | Path]) -> pd.DataFrame:
    """Return the rows of all cells, sorted by their key.

    Parameters
    ----------
    files
        Cells, `results/cells/<encoder>/<task>/<method>.parquet`.

    Returns
    -------
    DataFrame with the columns of `CELL_COLUMNS`; `value` is a fraction in [0, 1], `n` counts test samples.

    Raises
    ------
    UserError
        No files, a file that is missing, no cell or of another version of the schema, a row twice, a value outside
        [0, 1], or a test set without samples.
    """
    _require(files, "cells")
    refuse_other_versions(files)
    cells = query_files(files, f"SELECT {quoted(CELL_COLUMNS)} FROM files ORDER BY {quoted(CELL_KEY)}", "cells")
    _refuse_repeated_rows(cells, CELL_KEY, "cells")
    _refuse_rows(cells, ~cells["value"].between(0, 1), CELL_KEY, "a value outside [0, 1]")
    _refuse_rows(cells, ~(cells["n"] >= 1), CELL_KEY, "no test samples (n < 1)")
    return cells


def read_spectra(files: Sequence[str | Path]) -> pd.DataFrame:
    """Return one row per encoder and test set with `sve`, `lsvr` (nats), `dominant_ratio`, `n` and `dim`, sorted.

    Raises
    ------
    UserError
        No files, a file that is missing or holds no spectra, or a row twice.
    """
    query = f"SELECT {quoted(SPECTRUM_COLUMNS)} FROM files ORDER BY {quoted(SPECTRUM_KEY)}"
    spectra = query_files(files, query, "spectra")
    _refuse_repeated_rows(spectra, SPECTRUM_KEY, "spectra")
    return spectra


def read_singular_values(files: Sequence[str | Path]) -> pd.DataFrame:
    """Return the mean normalised singular values of each noise over the ID test sets and pre-training seeds.

    Returns
    -------
    DataFrame with `corpus, recipe, noise_kind, noise_percent, rank, share, test_sets`: `rank` counts from 1 to the
    length of the shortest spectrum averaged, `share` is the mean of sigma_rank / sum(sigma).

    Raises
    ------
    UserError
        As `read_spectra`.
    """
    noise = quoted(ENCODER[:4])
    query = f"""
        WITH spectra AS (
            SELECT {noise}, task, test_set, singular_values,
                   min(len(singular_values)) OVER (PARTITION BY {noise}) AS shortest
            FROM files WHERE "group" = 'id'
        ), long AS (
            SELECT {noise}, task, test_set, shortest, generate_subscripts(singular_values, 1) AS rank,
                   unnest(singular_values) / list_sum(singular_values) AS share
            FROM spectra
        )
        SELECT {noise}, rank, avg(share) AS share, count(DISTINCT (task, test_set)) AS test_sets
        FROM long WHERE rank <= shortest GROUP BY {noise}, rank ORDER BY {noise}, rank
    """
    return query_files(files, query, "spectra")


def query_files(files: Sequence[str | Path], query: str, what: str) -> pd.DataFrame:
    _require(files, what)
    # One thread: the order of a sum, and so its last bits, must not depend on the machine.
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            connection.read_parquet(sorted(map(str, files)), filename=True).create_view("files")
            return connection.execute(query).df()
        except duckdb.Error as error:
            raise UserError(
                f"The {what} cannot be read together: {error}\n"
                f"Every file must have the columns of a file of {what}; delete the file named above and rerun."
            ) from error


def _require(files: Sequence[str | Path], what: str) -> None:
    if not files:
        raise UserError(f"There are no {what} to report on: the list of files is empty. Run the workflow first.")
    missing = [str(file) for file in files if not Path(file).is_file()]
    if missing:
        shown = "\n  ".join(missing[:5])
        raise UserError(
            f"{len(missing)} of {len(files)} files of {what} do not exist, first of all:\n  {shown}\n"
            "Make them with snakemake, which takes these paths as targets."
        )


def _refuse_repeated_rows(frame: pd.DataFrame, key: list[str], what: str) -> None:
    if frame.empty:
        raise UserError(f"The files of {what} hold no rows. Delete them and rerun.")
    _refuse_rows(frame, frame.duplicated(key), key, "the same row in two places; list each file once")


def _refuse_rows(frame: pd.DataFrame, wrong: pd.Series, key: list[str], problem: str) -> None:
    if wrong.any():
        first = ", ".join(f"{name}={value}" for name, value in frame.loc[wrong.idxmax(), key].items())
        raise UserError(f"{int(wrong.sum())} rows have {problem}. The first is {first}. Delete its file and rerun.")
