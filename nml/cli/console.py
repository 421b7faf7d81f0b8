"""Where the commands print, and the one look of their tables."""

import sys

from rich import box
from rich.console import Console
from rich.table import Table

# A file or a pipe has no width of its own; its lines should not be wrapped.
_FILE_WIDTH = 240


def console() -> Console:
    """Return a console on the current standard output."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False, markup=False, emoji=False)


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table with these columns; those in `numbers` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made
