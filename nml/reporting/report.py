"""The report: one HTML page that holds everything and needs nothing else."""

import base64
import json
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nml.artifacts import write_text
from nml.errors import UserError
from nml.reporting.captions import (
    DEPENDENT,
    FIGURE_CAPTIONS,
    NOISE_CAPTION,
    TABLE_CAPTIONS,
    TASK_CAPTION,
    closing_note,
    seed_counts,
)
from nml.reporting.labels import FIGURES, HEADLINE_METRIC, TABLES, method_label, method_rank
from nml.reporting.layout import SHOW
from nml.reporting.layout.averages import show_headline
from nml.reporting.layout.claims import show_claims
from nml.reporting.matrix import DONE, encoder_of, matrix_note, path_of
from nml.reporting.schema import CELL_NAME, ENCODER
from nml.reporting.tables import read_table

GROUPS_OF_PAGE = ["id", "ood", "source"]
TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    tables_dir: str | Path,
    figures_dir: str | Path,
    out_file: str | Path,
    title: str,
    noise_pictures: Sequence[str | Path] = (),
    task_pictures: Sequence[str | Path] = (),
    results_dir: str | Path = "results",
) -> None:
    """Write the report of a run as one self-contained HTML file; equal inputs give equal bytes.

    Parameters
    ----------
    tables_dir, figures_dir
        What `build_tables` and `draw_figures` wrote. Figures are embedded; their PDFs and the tables are linked
        relative to `out_file`.
    out_file
        Such as `results/report/index.html`.
    title
        The heading, such as the name of the configuration.
    noise_pictures
        PNGs of `nml.noise.pictures`, each with its PDF beside it.
    task_pictures
        PNGs of `nml.tasks.pictures`.
    results_dir
        Where the cells and logs are that the page links to.

    Raises
    ------
    UserError
        A table or a figure is missing.
    """
    tables = {name: read_table(tables_dir, name) for name in TABLES}
    page = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("report.html.j2")
    text = page.render(
        title=title,
        facts=facts_of(tables["cells"]),
        intervals=seed_counts(tables["averages"]),
        dependent=DEPENDENT,
        seeds=closing_note(tables["averages"], tables["matrix"]),
        incomplete=matrix_note(tables["matrix"]),
        cell=_example_cell(tables["cells"]),
        cell_data=_as_script(_cell_rows(tables["cells"], tables["matrix"])),
        results_link=_link(Path(results_dir), out_file),
        datatables={end: _datatables(end) for end in ("js", "css")},
        claims=_grid(show_claims(tables["claims"][tables["claims"]["level"] == "claim"])),
        headline=_grid(show_headline(tables["averages"])),
        tables={name: _grid(SHOW[name](frame)) for name, frame in tables.items()},
        table_captions=TABLE_CAPTIONS,
        table_links={name: _link(Path(tables_dir) / f"{name}.parquet", out_file) for name in TABLES},
        figures=list(_figures(Path(figures_dir), out_file)),
        noise_pictures=[_noise_picture(Path(png), out_file) for png in noise_pictures],
        noise_caption=NOISE_CAPTION,
        task_pictures=[{"png": _encoded(Path(png)), "name": Path(png).stem} for png in task_pictures],
        task_caption=TASK_CAPTION,
    )
    write_text(out_file, text)


def _as_script(value: object) -> Markup:
    """Write a value as JSON that may stand inside a script element."""
    return Markup(json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"))


def facts_of(cells: pd.DataFrame) -> dict[str, str]:
    """Return what was run, as a reader meets it: encoders, tasks, methods, cells and seeds."""
    encoders = cells.drop_duplicates(ENCODER)
    methods = sorted(set(cells["method"]), key=method_rank)
    return {
        "encoders": f"{len(encoders)}",
        "corpora and recipes": ", ".join(sorted(set(encoders["corpus"] + "/" + encoders["recipe"]))),
        "tasks": f"{cells['task'].nunique()}",
        "methods": ", ".join(map(method_label, methods)),
        "cells": f"{len(cells.drop_duplicates([*ENCODER, 'task', 'method']))}",
        "seeds": f"{cells['pretrain_seed'].nunique()} of pre-training, {cells['seed'].nunique()} of tuning",
    }


def _datatables(end: str) -> str:
    """Return the DataTables of the package itables, script or style, base64; the package itself is not imported."""
    folder = Path(find_spec("itables").submodule_search_locations[0], "html")
    return base64.b64encode((folder / f"dt_bundle.{end}").read_bytes()).decode()


def _cell_rows(cells: pd.DataFrame, matrix: pd.DataFrame) -> list[list[str | float]]:
    """Return of each cell, those that are not done first, its address, state, mean accuracies, error and log.

    The accuracies are in percent, on each of `GROUPS_OF_PAGE`; an empty text where there is none.
    """
    rows = cells[(cells["metric"] == HEADLINE_METRIC) & (cells["fraction"] == cells["fraction"].max())]
    means = rows.groupby([*CELL_NAME, "group"])["value"].mean().unstack("group").reindex(columns=GROUPS_OF_PAGE)
    ordered = matrix.assign(done=matrix["state"] == DONE).sort_values(["done", "state", *CELL_NAME])
    shown = (100 * means).round(1).reindex(pd.MultiIndex.from_frame(ordered[CELL_NAME]))
    shown = shown.astype(object).where(shown.notna(), "").to_numpy().tolist()
    return [
        [str(encoder_of(row)), row["task"], row["method"], row["state"], *values, row["reason"], row["log"]]
        for row, values in zip(ordered.to_dict("records"), shown, strict=True)
    ]


def _example_cell(cells: pd.DataFrame) -> str:
    """Return the path of one cell that was run: the linear probe's if there is one."""
    probes = cells[cells["method"] == "lp"]
    row = (probes if len(probes) else cells).iloc[0]
    return path_of(row)


def _grid(table: pd.DataFrame) -> dict[str, list]:
    return {"columns": list(table), "rows": table.astype(str).to_numpy().tolist()}


def _figures(figures_dir: Path, out_file: str | Path) -> Iterator[dict[str, str]]:
    for name in FIGURES:
        yield _picture(figures_dir / f"{name}.png", out_file) | {"name": name, "caption": FIGURE_CAPTIONS[name]}


def _noise_picture(png: Path, out_file: str | Path) -> dict[str, str]:
    return _picture(png, out_file) | {"name": f"{png.parent.name}/{png.name.removesuffix('.png')}"}


def _picture(png: Path, out_file: str | Path) -> dict[str, str]:
    """Return a picture for the page, and where its PDF is."""
    # A percent may have a point, which is no suffix.
    pdf = png.with_name(png.name.removesuffix(".png") + ".pdf")
    return {"png": _encoded(png), "pdf": _link(pdf, out_file)}


def _encoded(png: Path) -> str:
    if not png.is_file():
        raise UserError(f"{png} does not exist. Make it: snakemake {png}")
    return base64.b64encode(png.read_bytes()).decode()


def _link(target: Path, out_file: str | Path) -> str:
    return Path(os.path.relpath(target.resolve(), Path(out_file).resolve().parent)).as_posix()
