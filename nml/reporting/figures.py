"""The figures of the study, drawn from its tables, as PNG for screens and PDF for papers."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from nml.artifacts import save_figure
from nml.grid import CLEAN, RELEASED, UNTRAINED
from nml.reporting.associations import spectrum_points
from nml.reporting.labels import OBJECTIVES
from nml.reporting.noise_figures import learning_curves, noise_curves, pretraining_accuracy
from nml.reporting.rank_figure import critical_difference
from nml.reporting.series import SERIES, noise_series
from nml.reporting.spectrum_figures import spectrum_decay, spectrum_scatter
from nml.reporting.style import COLUMN_WIDTH, CONTROL, RC
from nml.reporting.tables import read_table
from nml.reporting.task_figures import fraction_curves, per_task_curves, run_time
from nml.reporting.tuned_spectrum_figure import tuned_spectrum_curves

TABLES_DRAWN = (
    *("cells", "averages", "ranks", "spectra", "tuned_spectra", "singular_values", "associations"),
    *("pretraining", "learning", "per_task", "run_times"),
)


def draw_figures(tables_dir: str | Path, out_dir: str | Path) -> None:
    """Draw every figure of `nml.reporting.labels.FIGURES` into `out_dir`, as `.png` (200 dpi) and `.pdf`.

    A figure that the cells have nothing for says so instead.

    Raises
    ------
    UserError
        A table is missing from `tables_dir`.
    """
    tables = {name: in_figures(read_table(tables_dir, name)) for name in TABLES_DRAWN}
    tables["averages"] = tables["averages"].dropna(subset=["value"])
    with matplotlib.rc_context(RC):
        for name, figure in figures_of(tables).items():
            save_figure(figure(), Path(out_dir, name))


def in_figures(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out released encoders, each a recipe of its own with one point, which makes no curve."""
    return table[table["noise_kind"] != RELEASED] if "noise_kind" in table else table


def figures_of(tables: dict[str, pd.DataFrame]) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure of `nml.reporting.labels.FIGURES`, from the tables `TABLES_DRAWN`."""
    averages = tables["averages"]
    names = series_names(averages, tables["pretraining"])
    tuned = {key: name for key, name in names.items() if key[:2] in _recipes(averages)}
    points = spectrum_points(tables["cells"], tables["spectra"])
    spectra = {key: name for key, name in names.items() if key[:2] in _recipes(tables["singular_values"])}
    probed = tables["per_task"][tables["per_task"]["method"] == "lp"]
    several = averages["fraction"].nunique() > 1
    drawn = {
        "noise_curves": (tuned, lambda: noise_curves(averages, tuned)),
        "fraction_curves": (tuned and several, lambda: fraction_curves(averages, tuned)),
        "spectrum_scatter": (len(points), lambda: spectrum_scatter(points, tables["associations"], names)),
        "pretraining_accuracy": (names, lambda: pretraining_accuracy(tables["pretraining"], names)),
        "learning_curves": (names, lambda: learning_curves(tables["learning"], names)),
        "spectrum_decay": (spectra, lambda: spectrum_decay(tables["singular_values"], spectra)),
        "critical_difference": (len(tables["ranks"]), lambda: critical_difference(tables["ranks"], names)),
        "tuned_spectrum_curves": (
            tuned and len(tables["tuned_spectra"]),
            lambda: tuned_spectrum_curves(averages, tables["tuned_spectra"], tuned),
        ),
        "per_task_curves": (tuned and len(probed), lambda: per_task_curves(tables["per_task"], tuned)),
        "run_time": (tuned, lambda: run_time(averages, tables["run_times"], tuned)),
    }
    return {name: draw if there else nothing_to_draw for name, (there, draw) in drawn.items()}


def nothing_to_draw() -> Figure:
    """Return a figure that says that there is nothing for it in the cells."""
    figure = Figure(figsize=(COLUMN_WIDTH, 2.0))
    figure.text(0.5, 0.5, "No cells for this figure.", ha="center", va="center", color=CONTROL)
    return figure


def _recipes(rows: pd.DataFrame) -> set[tuple[str, str]]:
    trained = rows[rows["noise_kind"] != UNTRAINED]
    return set(zip(trained["corpus"], trained["recipe"], strict=True))


def series_names(averages: pd.DataFrame, pretraining: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Name every (corpus, recipe, noise kind) that is drawn, such as `supervised: resnet-mini, symmetric noise`."""
    trained = noise_series(averages[averages["noise_kind"] != UNTRAINED])
    keys = trained[SERIES].drop_duplicates().sort_values(SERIES).itertuples(index=False, name=None)
    objectives = pretraining.dropna(subset=["objective"]).set_index(["corpus", "recipe"])["objective"].to_dict()
    several = trained["corpus"].nunique() > 1
    names = {}
    for corpus, recipe, kind in keys:
        objective = objectives.get((corpus, recipe), "")
        title = f"{corpus}/{recipe}" if several else recipe
        noise = kind if kind == CLEAN else f"{kind} noise"
        names[corpus, recipe, kind] = f"{OBJECTIVES.get(objective, objective)}: {title}, {noise}".removeprefix(": ")
    return dict(sorted(names.items(), key=lambda item: not item[1].startswith(OBJECTIVES["supervised"])))
