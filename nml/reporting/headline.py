"""The headline for a terminal: accuracy by recipe and noise, methods side by side."""

from textwrap import fill

import pandas as pd

from nml.grid import UNTRAINED
from nml.reporting.captions import DEPENDENT, seeds_note
from nml.reporting.labels import HEADLINE_GROUPS, MAJORITY
from nml.reporting.layout.averages import show_headline
from nml.reporting.writing import TEXT_COLUMNS, as_text

_TERMINAL_WIDTH = 120


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
        fill(f"{seeds_note(averages)} {DEPENDENT}", _TERMINAL_WIDTH),
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
    text = as_text(table, "simple")
    if max(map(len, text.splitlines())) <= _TERMINAL_WIDTH:
        return text
    shared = [name for name in table if name in TEXT_COLUMNS]
    groups = [[name for name in table if name.startswith(f"{group.upper()} ")] for group in HEADLINE_GROUPS]
    return "\n\n".join(as_text(table[shared + group], "simple") for group in groups if group)
