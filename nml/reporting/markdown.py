"""The results as one Markdown page with its figures: for the documentation, from the same tables as the report."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nml.artifacts import atomic_path, write_text
from nml.errors import UserError
from nml.reporting.captions import TABLE_CAPTIONS, closing_note
from nml.reporting.labels import HEADLINE_METRIC, TABLES
from nml.reporting.layout import SHOW
from nml.reporting.layout.averages import show_headline
from nml.reporting.layout.claims import show_claims
from nml.reporting.report import TEMPLATES, facts_of
from nml.reporting.tables import read_table
from nml.reporting.writing import as_markdown

KEPT = "<!-- Written by hand; kept when the page is made again. -->"
"""What follows this line in a page is what no table says."""


class Section(NamedTuple):
    """A heading with figures and the table below them; an optional one is left out where the table has no rows."""

    title: str
    table: str
    figures: tuple[str, ...] = ()
    show: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    optional: bool = False


def _claims_only(claims: pd.DataFrame) -> pd.DataFrame:
    return show_claims(claims[claims["level"] == "claim"])


def _probes(per_task: pd.DataFrame) -> pd.DataFrame:
    rows = per_task[per_task["method"].isin(["lp", "majority"]) & (per_task["metric"] == HEADLINE_METRIC)]
    return SHOW["per_task"](rows)


SECTIONS = (
    Section("The claims", "claims", (), _claims_only),
    Section("Averages", "averages", ("noise_curves",), show_headline),
    Section("Differences", "differences", ("critical_difference",)),
    Section("Released encoders", "zoo", optional=True),
    Section("Spectrum and accuracy", "associations", ("spectrum_scatter", "spectrum_decay")),
    Section("Spectrum of tuned features", "tuned_spectra", ("tuned_spectrum_curves",)),
    Section("Pre-training", "pretraining", ("pretraining_accuracy", "learning_curves")),
    Section("Each test set, linear probing", "per_task", ("per_task_curves",), _probes),
    Section("Run time", "run_times", ("run_time",)),
)


def require_own_page(page: str | Path) -> None:
    """Raise `UserError` if there is a page already that was not made here: it would be overwritten."""
    if Path(page).is_file() and KEPT not in Path(page).read_text(encoding="utf-8"):
        raise UserError(
            f"{page} is there already, and was not made by --markdown. Name another file, remove it, or put this line "
            f"above what is to be kept of it: {KEPT}"
        )


def write_markdown(
    tables_dir: str | Path, figures_dir: str | Path, out_file: str | Path, title: str, command: str
) -> None:
    """Write the page, and copy its figures to `figures/` beside it; equal inputs give equal bytes.

    Of a page that is there already, what follows the line `KEPT` stays.

    Parameters
    ----------
    tables_dir, figures_dir
        What `build_tables` and `draw_figures` wrote.
    out_file
        Such as `docs/results-mini.md`.
    title
        The name of the configuration.
    command
        What makes the page again.

    Raises
    ------
    UserError
        A table is missing, or `out_file` is not a page of this kind.
    """
    require_own_page(out_file)
    tables = {name: read_table(tables_dir, name) for name in TABLES}
    template = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template("results.md.j2")
    text = template.render(
        title=title,
        command=command,
        note=closing_note(tables["averages"], tables["matrix"]),
        facts=facts_of(tables["cells"]),
        figures="figures",
        sections=[
            _section(part, tables[part.table]) for part in SECTIONS if len(tables[part.table]) or not part.optional
        ],
        kept=_kept(Path(out_file)),
    )
    for name in (name for section in SECTIONS for name in section.figures):
        with atomic_path(Path(out_file).parent / "figures" / f"{name}.png") as temporary:
            shutil.copyfile(Path(figures_dir, f"{name}.png"), temporary)
    write_text(out_file, text.rstrip() + "\n")


def _kept(page: Path) -> str:
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return KEPT + text.partition(KEPT)[2]


def _section(section: Section, table: pd.DataFrame) -> dict[str, object]:
    shown = (section.show or SHOW[section.table])(table)
    words = {"title": section.title, "figures": section.figures, "caption": TABLE_CAPTIONS[section.table]}
    return words | {"table": as_markdown(shown)}
