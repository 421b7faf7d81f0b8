"""Tables as files and as text: Parquet for programs, Markdown and LaTeX for people."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
from tabulate import tabulate

from nml.artifacts import write_parquet, write_text
from nml.reporting.captions import TABLE_CAPTIONS
from nml.reporting.layout import SHOW

_ROWS_ON_A_PAGE = 45
NO_METADATA: Mapping[str, str] = {}
TEXT_COLUMNS = {
    *("metric", "corpus", "recipe", "noise", "address", "objective"),
    *("group", "task", "test set", "method", "minus", "methods", "quantity"),
    *("claim", "about", "measure", "verdict", "missing", "within", "source", "note", "licence", "rule", "GPU"),
    *("encoder", "state", "reason", "log", "variant", "changed", "model", "architecture", "weights"),
}
_UNICODE_TO_LATEX = {"±": r"$\pm$", "†": r"$\dagger$"}


def write_table(frame: pd.DataFrame, stem: str | Path, note: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
    """Write a table as `<stem>.parquet` (all of it), and as readers see it as `<stem>.md` and `<stem>.tex`.

    The stem's last part, one of `TABLES`, says how the table is laid out; the note ends its caption. The Parquet file
    gets the metadata. Equal frames give equal bytes.
    """
    stem = Path(stem)
    shown, caption = SHOW[stem.name](frame), f"{TABLE_CAPTIONS[stem.name]} {note}"
    columns = {name: _column(frame[name]) for name in frame}
    schema = pa.schema([(name, column.type) for name, column in columns.items()], metadata=metadata or None)
    write_parquet(stem.with_suffix(".parquet"), columns, schema)
    write_text(stem.with_suffix(".md"), f"{caption}\n\n{as_markdown(shown)}\n")
    write_text(stem.with_suffix(".tex"), _latex(shown, caption))


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table of texts as Markdown."""
    return as_text(table.map(_in_markdown), "github")


def _in_markdown(value: object) -> object:
    """A bar would begin another column, and a line break another row; logs have both."""
    return " ".join(value.replace("|", "\\|").split()) if isinstance(value, str) else value


def as_text(table: pd.DataFrame, style: str) -> str:
    """Return a table of texts in a style of tabulate, numbers to the right."""
    align = ["left" if name in TEXT_COLUMNS else "right" for name in table]
    return tabulate(
        table.to_numpy().tolist(), headers=list(table), tablefmt=style, colalign=align, disable_numparse=True
    )


def _latex(table: pd.DataFrame, caption: str) -> str:
    style = "latex_booktabs" if len(table) <= _ROWS_ON_A_PAGE else "latex_longtable"
    text = as_text(table, style)
    for character, code in _UNICODE_TO_LATEX.items():
        text = text.replace(character, code)
    return f"% {caption}\n{text}\n"


def _column(values: pd.Series) -> pa.Array:
    kind = pa.string() if not pd.api.types.is_numeric_dtype(values) else None
    return pa.array(values, type=kind, from_pandas=True)
