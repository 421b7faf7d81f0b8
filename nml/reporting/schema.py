"""Which columns the files of results have, and which version of them a file is of. Without pandas, to start quickly."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nml.errors import UserError

ENCODER = ["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed"]
CELL_KEY = [*ENCODER, "task", "group", "test_set", "method", "fraction", "seed", "metric"]
CELL_NAME = [*ENCODER, "task", "method"]
CELL_COLUMNS = [*CELL_KEY, "value", "n"]
SCHEMA_VERSION = 1
"""Of cells, predictions and spectra. A file of another version says so as `nml_schema` in its Parquet metadata; the
first version has no such entry. To be raised when a column changes its meaning."""
_VERSION_KEY = b"nml_schema"
PREDICTIONS_SUFFIX = ".predictions.parquet"
SPECTRUM_KEY = [*ENCODER, "task", "group", "test_set"]
SINGULAR_VALUES_COLUMNS = [*ENCODER[:4], "rank", "share", "test_sets"]
SPECTRUM_COLUMNS = [*SPECTRUM_KEY, "n", "dim", "sve", "lsvr", "dominant_ratio"]


def refuse_other_versions(files: Iterable[str | Path]) -> None:
    """Raise `UserError` naming the first of many small Parquet files that is of another version of the schema."""
    for file in files:
        # Looking for the entry in thousands of files takes tenths of a second, opening them seconds.
        named = _VERSION_KEY in Path(file).read_bytes()
        if (named or SCHEMA_VERSION != 1) and (problem := _problem_of_file(file)):
            raise UserError(problem)


def _problem_of_file(file: str | Path) -> str:
    try:
        return problem_of_version(file, pq.read_schema(file))
    except (OSError, ValueError, pa.ArrowException):
        # Who reads it next says what is wrong with it.
        return ""


def problem_of_version(file: str | Path, schema: pa.Schema) -> str:
    """Say that a Parquet file with this schema is of another version of it; empty if it is of this one."""
    version = (schema.metadata or {}).get(_VERSION_KEY, b"1").decode(errors="replace")
    if version == str(SCHEMA_VERSION):
        return ""
    return (
        f"{file} has version {version} of the schema, and this nml reads version {SCHEMA_VERSION}: delete it and rerun"
    )


def quoted(columns: list[str]) -> str:
    """Return the columns as SQL names them."""
    return ", ".join(f'"{column}"' for column in columns)
