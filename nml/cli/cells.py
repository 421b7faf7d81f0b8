"""Cells by the addresses that users type, and what their files hold."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nml.errors import UserError
from nml.grid import Encoder, cell_path
from nml.reporting.ablations import method_entries
from nml.reporting.costs import run_facts
from nml.reporting.metadata import spectra_of
from nml.reporting.schema import CELL_COLUMNS, PREDICTIONS_SUFFIX, SPECTRUM_COLUMNS, problem_of_version

_NUMBERS = ["noise_percent", "pretrain_seed", "fraction", "seed", "value", "n"]
PREDICTIONS_COLUMNS = ["test_set", "fraction", "seed", "key", "label", "prediction"]

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
    """Return the rows of a cell's file, `CELL_COLUMNS`; raise `UserError` naming the file if it cannot be used."""
    # What pandas left in a footer names types, which it would look up.
    return _read_cell_table(path).to_pandas(ignore_metadata=True)[CELL_COLUMNS]


def problem_of(path: Path) -> str:
    """Return why a cell cannot be used, naming the file, or an empty text: rows, predictions and metadata are read."""
    try:
        _refuse_other_predictions(path, _read_cell_table(path))
        method_entries([path])
        run_facts(path)
        spectra_of(path)
    except UserError as error:
        return str(error)
    return ""


def problem_of_spectrum(path: Path) -> str:
    """Return why a spectrum cannot be used, naming the file, or an empty text."""
    return problem_of_table(path, [*SPECTRUM_COLUMNS, "singular_values"])


def problem_of_table(file: Path, columns: list[str]) -> str:
    """Return why a Parquet file, which should have these columns, cannot be used, naming it, or an empty text."""
    try:
        _read_table(file, columns)
    except UserError as error:
        return str(error)
    return ""


def _read_table(file: Path, columns: list[str]) -> pa.Table:
    """Read all of a file: damage in its middle does not show at its ends."""
    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            table = opened.read([name for name in columns if name in schema.names])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{file} cannot be read ({str(error).partition(chr(10))[0]}): delete it and rerun") from None
    if problem := problem_of_version(file, schema):
        raise UserError(problem)
    if lacking := [name for name in columns if name not in schema.names]:
        raise UserError(f"{file} lacks the columns {', '.join(lacking)}: delete it and rerun")
    return table


def _read_cell_table(path: Path) -> pa.Table:
    """Read a cell's rows, which must be those of the cell that its path names, with values that can be averaged."""
    table = _read_table(path, CELL_COLUMNS)
    problem = _problem_of_types(table) or _problem_of_owner(path, table) or _problem_of_values(table)
    if problem:
        raise UserError(f"{path} {problem}: delete it and rerun")
    return table


def _refuse_other_predictions(path: Path, rows: pa.Table) -> None:
    """Raise `UserError` unless the file beside a cell has predictions of the same test sets, fractions and seeds."""
    file = path.with_suffix(PREDICTIONS_SUFFIX)
    if _places(_read_table(file, PREDICTIONS_COLUMNS)) != _places(rows):
        raise UserError(f"{file} is of other test sets, fractions or seeds than {path}: delete both and rerun")


def _places(table: pa.Table) -> set[tuple]:
    columns = table.group_by(["test_set", "fraction", "seed"]).aggregate([])
    return set(zip(*columns.to_pydict().values(), strict=True))


def _problem_of_types(table: pa.Table) -> str:
    kinds = {name: table.schema.field(name).type for name in _NUMBERS}
    wrong = [name for name, kind in kinds.items() if not (pa.types.is_floating(kind) or pa.types.is_integer(kind))]
    return f"has no numbers in the columns {', '.join(wrong)}" if wrong else ""


def _problem_of_owner(path: Path, table: pa.Table) -> str:
    """Say whose rows a file has, if they are not of the cell that its path names; a file without rows has none."""
    if not table.num_rows:
        return "has no rows"
    cell = parse_cell("/".join(path.parts[-6:]))
    expected = {**cell.encoder.identity(), "task": cell.task, "method": cell.method}
    found = {name: table[name].unique().to_pylist() for name in expected}
    wrong = [f"{name}={', '.join(map(str, found[name]))}" for name, value in expected.items() if found[name] != [value]]
    return f"has rows of another cell ({'; '.join(wrong)})" if wrong else ""


def _problem_of_values(table: pa.Table) -> str:
    values, sizes = table["value"].to_numpy(), table["n"].to_numpy()
    if not ((values >= 0) & (values <= 1)).all():
        return "has a value outside [0, 1]"
    return "" if (sizes >= 1).all() else "has a test set without samples (n < 1)"
