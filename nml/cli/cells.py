"""Cells by the addresses that users type, and what their files hold."""

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nml.errors import UserError
from nml.grid import Encoder, cell_path
from nml.reporting.ablations import method_entries
from nml.reporting.costs import run_facts
from nml.reporting.reading import CELL_COLUMNS, PREDICTIONS_SUFFIX, SCHEMA_VERSION, SPECTRUM_COLUMNS

_PREDICTIONS_COLUMNS = ["test_set", "fraction", "seed", "key", "label", "prediction"]

_CELL = re.compile(
    r"(?:results/cells/)?(?P<encoder>[^/]+/[^/]+/[^/]+/s\d+)/(?P<task>[^/]+)/(?P<method>[^/]+?)(\.parquet)?"
)


@dataclass(frozen=True)
class Cell:
    """One cell by its encoder, task and method."""

    encoder: Encoder
    task: str
    method: str

    def __str__(self) -> str:
        return f"{self.encoder}/{self.task}/{self.method}"

    @property
    def path(self) -> Path:
        return Path(cell_path(self.encoder, self.task, self.method))

    @property
    def log(self) -> Path:
        """The log of its job: its own, of a method that changes the encoder, else that of all methods on features."""
        own = Path("results/logs/tune_encoder", f"{self}.log")
        return own if own.is_file() else Path("results/logs/tune", str(self.encoder), f"{self.task}.log")


def parse_cell(text: str) -> Cell:
    """Read `<encoder>/<task>/<method>`, or the path of the cell's file."""
    match = _CELL.fullmatch(text)
    if not match:
        raise UserError(
            f"'{text}' is no cell. A cell is <corpus>/<recipe>/<noise>/s<seed>/<task>/<method>, for example "
            "'emoji/resnet-mini/symmetric-20/s0/fashion/nmtune', or the path of its file."
        )
    return Cell(Encoder.parse(match["encoder"]), match["task"], match["method"])


def read_cell(cell: Cell) -> pd.DataFrame:
    """Return the rows of a cell, `CELL_COLUMNS`; raise `UserError` if there are none, or the file is damaged."""
    if not cell.path.is_file():
        hint = f" Its job left a log: {cell.log}" if cell.log.is_file() else ""
        raise UserError(f"{cell.path} does not exist. Make it: snakemake --cores 1 {cell.path}.{hint}")
    return read_rows(cell.path)


def read_rows(path: Path) -> pd.DataFrame:
    """Return the rows of a cell's file; raise `UserError` naming the file if it is damaged or no cell."""
    try:
        with duckdb.connect() as connection:
            rows = connection.read_parquet(str(path)).df()
    except duckdb.Error as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it and rerun.") from None
    if absent := [name for name in CELL_COLUMNS if name not in rows]:
        raise UserError(f"{path} is no cell: it lacks the columns {', '.join(absent)}. Delete it and rerun.")
    return rows[CELL_COLUMNS]


def problem_of(path: Path) -> str:
    """Return why a cell cannot be used, naming the file, or an empty text: rows, predictions and metadata are read."""
    expected = {path: CELL_COLUMNS, path.with_suffix(PREDICTIONS_SUFFIX): _PREDICTIONS_COLUMNS}
    problems = (_problem(file, columns) for file, columns in expected.items())
    return next(filter(None, problems), "") or _problem_of_metadata(path)


def problem_of_spectrum(path: Path) -> str:
    """Return why a spectrum cannot be used, naming the file, or an empty text."""
    return _problem(path, [*SPECTRUM_COLUMNS, "singular_values"])


def _problem_of_metadata(cell: Path) -> str:
    try:
        method_entries([cell])
        run_facts(cell)
    except UserError as error:
        return str(error)
    return ""


def _problem(file: Path, columns: list[str]) -> str:
    """Read all of a file: damage in its middle does not show at its ends."""
    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            opened.read([name for name in columns if name in schema.names])
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"{file} cannot be read ({str(error).partition(chr(10))[0]}): delete it and rerun"
    version = (schema.metadata or {}).get(b"nml_schema", b"1").decode()
    if version != str(SCHEMA_VERSION):
        return f"{file} has version {version} of the schema, and this nml reads version {SCHEMA_VERSION}"
    lacking = [name for name in columns if name not in schema.names]
    return f"{file} lacks the columns {', '.join(lacking)}: delete it and rerun" if lacking else ""
