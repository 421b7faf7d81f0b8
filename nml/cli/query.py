"""`nml query`: SQL over the results, as views of DuckDB."""

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from nml.artifacts import atomic_path
from nml.cli.console import console, table
from nml.cli.facts import read_facts
from nml.errors import UserError, nearest
from nml.grid import Encoder
from nml.reporting.digest import DIGEST_KEY, cells_digest
from nml.reporting.schema import CELL_COLUMNS, PREDICTIONS_SUFFIX, quoted, refuse_other_versions

_SHOWN_ROWS = 200
_FILTER = re.compile(r"(\w+)=([^\s'\"]*)")
TOGETHER = ("results/tables/cells.parquet", "results/partial/tables/cells.parquet")
"""All rows of some cells, in a table of the report."""
_OF_THE_QUESTION = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException)


def run(options: argparse.Namespace) -> None:
    """Answer `options.question`, SQL or filters: print the table, or save it to `options.csv` or `options.parquet`."""
    # One thread: the order of a sum, and so its last bits, must not depend on the machine.
    with duckdb.connect(config={"threads": 1}) as connection:
        open_results(connection, _addressed(options.question))
        try:
            answer = connection.sql(_statement(options.question, connection))
            if answer is None:
                raise UserError("the statement gives no table. Ask with SELECT, DESCRIBE or SUMMARIZE.")
            _deliver(answer, options)
        except duckdb.Error as error:
            raise UserError(_explained(error, connection)) from None


def _explained(error: duckdb.Error, connection: duckdb.DuckDBPyConnection) -> str:
    """Name the file that cannot be read, if that is why; else say what there is to ask about."""
    if not isinstance(error, _OF_THE_QUESTION) and (problem := _first_problem()):
        return problem
    views = ", ".join(row[0] for row in connection.execute("SHOW TABLES").fetchall())
    return f"{error}\nThe views here are: {views}. Their columns: nml query 'DESCRIBE cells'"


def _first_problem() -> str:
    """Return what is wrong with the first file of results that cannot be used, or an empty text."""
    # Its statistics take half a second to import, which only an error is worth.
    from nml.cli.cells import PREDICTIONS_COLUMNS, problem_of_table

    columns = {file: CELL_COLUMNS for file in _tables("results/cells")}
    columns |= {file: PREDICTIONS_COLUMNS for file in columns if file.endswith(PREDICTIONS_SUFFIX)}
    columns |= {file: [] for file in _tables("results/spectra")}
    return next(filter(None, (problem_of_table(Path(file), names) for file, names in columns.items())), "")


def _statement(question: list[str], connection: duckdb.DuckDBPyConnection) -> str:
    """Return the SQL of a question; filters such as `task=fashion` ask for the rows of cells."""
    filters = [_FILTER.fullmatch(word) for word in question]
    if not all(filters):
        if len(question) > 1:
            raise UserError("write SQL as one argument, in quotes, or only filters of cells, such as task=fashion.")
        return question[0]
    columns = [row[0] for row in connection.execute("DESCRIBE cells").fetchall()]
    parts = []
    for name, value in (match.groups() for match in filters):
        if name not in columns:
            meant = nearest(name, columns)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            raise UserError(f"cells have no column '{name}'{hint}; columns: {', '.join(columns)}.")
        literal = value.replace("'", "''")
        parts.append(f"\"{name}\" = '{literal}'")
    return f"SELECT * FROM cells WHERE {' AND '.join(parts)} ORDER BY ALL"


def _addressed(question: list[str]) -> dict[str, str]:
    """Return the filters that a cell's path answers, so that no other files need be opened."""
    filters = [_FILTER.fullmatch(word) for word in question]
    return {m[1]: m[2] for m in filters if m[1] in ("task", "method")} if all(filters) else {}


def open_results(connection: duckdb.DuckDBPyConnection, only: Mapping[str, str]) -> None:
    """Make a view of each kind of result that there is; of cells, those of `only` a task or method.

    Raises
    ------
    UserError
        If there are no results at all, or a file that cannot be used shows at once.
    """
    try:
        _create_views(connection, only)
    except duckdb.Error as error:
        raise UserError(_first_problem() or str(error)) from None


def _create_views(connection: duckdb.DuckDBPyConnection, only: Mapping[str, str]) -> None:
    files, spectra = _tables("results/cells"), _tables("results/spectra")
    metas = sorted(Path("results/encoders").rglob("meta.json"))
    if not (files or spectra or metas):
        raise UserError("there are no results in this folder yet (results/). Make them: snakemake --cores all")
    if cells := [file for file in files if not file.endswith(PREDICTIONS_SUFFIX)]:
        # Where none is left, any one says which columns there are.
        files_of_cells = [file for file in cells if _is_wanted(file, only)] or cells[:1]
        _create_cells(connection, files_of_cells, None if only else _table_of(connection, cells))
    if predictions := [file for file in files if file.endswith(PREDICTIONS_SUFFIX)]:
        _create_predictions(connection, predictions)
    if spectra:
        connection.read_parquet(spectra).create_view("spectra")
    if metas:
        _create_encoders(connection, metas)


def _create_cells(connection: duckdb.DuckDBPyConnection, files: list[str], together: str | None) -> None:
    """Make the view of cells, from one table of them if there is one."""
    if not together:
        refuse_other_versions(files)
    # A count alone would not notice a file without the columns of a cell.
    rows = connection.read_parquet(together or files).filter("corpus IS NOT NULL")
    rows.project(quoted(CELL_COLUMNS)).create_view("cells")


def _table_of(connection: duckdb.DuckDBPyConnection, cells: list[str]) -> str | None:
    """Return a table of the report with the rows of exactly these cells: opening thousands of files takes seconds.

    Bytes are compared, not times, which a copy may set to anything.
    """
    recorded = {table: _recorded_digest(connection, table) for table in TOGETHER if os.path.isfile(table)}
    digest = cells_digest(cells) if any(recorded.values()) else ""
    return next((table for table, found in recorded.items() if found and found == digest), None)


def _recorded_digest(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Return the digest of the cells that a table was made from, or an empty text if it has none or is damaged."""
    query = "SELECT decode(value) FROM parquet_kv_metadata($1) WHERE decode(key) = $2"
    try:
        found = connection.execute(query, [table, DIGEST_KEY]).fetchall()
    except duckdb.Error:
        return ""
    return found[0][0] if found else ""


def _is_wanted(file: str, only: Mapping[str, str]) -> bool:
    path = Path(file)
    return only.get("task", path.parent.name) == path.parent.name and only.get("method", path.stem) == path.stem


def _tables(folder: str) -> list[str]:
    """Return the Parquet files below a folder; names with a dot in front are files that are being written."""
    found = ((place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(f"{place}/{name}" for place, name in found if name.endswith(".parquet") and name[0] != ".")


def _create_predictions(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """The rows of a predictions file do not say whose they are; its path does."""
    pattern = r"results/cells/(.+/s\d+)/([^/]+)/([^/]+)\.predictions\.parquet"
    parts = f"regexp_extract(filename, '{pattern}', ['encoder', 'task', 'method'])"
    rows = connection.read_parquet(files, filename=True).project(f"unnest({parts}), * EXCLUDE (filename)")
    rows.create_view("predictions")


def _create_encoders(connection: duckdb.DuckDBPyConnection, metas: list[Path]) -> None:
    rows = [_encoder_row(meta) for meta in metas]
    columns = dict.fromkeys(name for row in rows for name in row)
    values = [{name: row.get(name) for name in columns} for row in rows]
    connection.execute("CREATE TABLE encoders AS SELECT unnest(row) FROM (SELECT unnest($1) AS row)", [values])


def _encoder_row(path: Path) -> dict[str, Any]:
    """Return the columns of one encoder: its address and identity, and the plain values of its `meta.json`."""
    plain = {name: value for name, value in read_facts(path).items() if not isinstance(value, dict | list)}
    address = "/".join(path.parts[-5:-1])
    named = {"address": address, **Encoder.parse(address).identity()}
    return named | plain | named


def _deliver(answer: duckdb.DuckDBPyRelation, options: argparse.Namespace) -> None:
    if path := options.csv or options.parquet:
        with atomic_path(path) as temporary:
            (answer.write_csv if options.csv else answer.write_parquet)(str(temporary))
        print(f"written to {path}")
        return
    rows = answer.limit(_SHOWN_ROWS + 1).fetchall()
    made = table(*answer.columns)
    for row in rows[:_SHOWN_ROWS]:
        made.add_row(*map(_text, row))
    console().print(made)
    if len(rows) > _SHOWN_ROWS:
        print(f"Only the first {_SHOWN_ROWS} rows are shown; --csv FILE saves all.")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
