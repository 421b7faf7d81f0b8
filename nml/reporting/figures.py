"""The figures of the study, drawn from its tables, as PNG for screens and PDF for papers."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from nml.artifacts import save_figure
from nml.errors import UserError
from nml.grid import CLEAN, UNTRAINED
from nml.reporting.associations import PAIRS, centred, spectrum_points
from nml.reporting.labels import (
    HEADLINE_GROUPS,
    HEADLINE_METRIC,
    MAJORITY,
    METHODS,
    OBJECTIVES,
    method_label,
    method_rank,
    p_label,
)
from nml.reporting.rank_figure import critical_difference
from nml.reporting.series import noise_series, sort_rows
from nml.reporting.style import (
    COLUMN_WIDTH,
    CONTROL,
    PAGE_WIDTH,
    RC,
    method_style,
    ratio_colours,
    series_colour,
    series_marker,
)
from nml.reporting.tables import read_table
from nml.reporting.task_figures import per_task_curves, run_time

_SERIES = ["corpus", "recipe", "kind"]
_NOISE_LABEL = "noise in pre-training (%)"
_QUANTITIES = {"sve": "SVE (nats)", "lsvr": r"LSVR $= -\log(\sigma_1/\,\Sigma_i\sigma_i)$ (nats)"}
_SMALLEST_SHARE = 1e-6


def draw_figures(tables_dir: str | Path, out_dir: str | Path) -> None:
    """Draw every figure of `nml.reporting.labels.FIGURES` into `out_dir`, as `.png` (200 dpi) and `.pdf`.

    Raises
    ------
    UserError
        A table is missing from `tables_dir`, or no encoder in them is trained.
    """
    tables = {
        name: read_table(tables_dir, name)
        for name in (
            *("cells", "averages", "ranks", "spectra", "singular_values", "associations"),
            *("pretraining", "learning", "per_task", "run_times"),
        )
    }
    names = _series_names(tables["averages"], tables["pretraining"])
    if not names:
        raise UserError(
            f"{tables_dir} holds the untrained control alone: there is no noise to draw. Add `pretraining`."
        )
    points = spectrum_points(tables["cells"], tables["spectra"])
    draw: dict[str, Callable[[], Figure]] = {
        "noise_curves": lambda: noise_curves(tables["averages"], names),
        "spectrum_scatter": lambda: spectrum_scatter(points, tables["associations"], names),
        "pretraining_accuracy": lambda: pretraining_accuracy(tables["pretraining"], names),
        "learning_curves": lambda: learning_curves(tables["learning"], names),
        "spectrum_decay": lambda: spectrum_decay(tables["singular_values"], names),
        "critical_difference": lambda: critical_difference(tables["ranks"]),
        "per_task_curves": lambda: per_task_curves(tables["per_task"], names),
        "run_time": lambda: run_time(tables["averages"], tables["run_times"]),
    }
    with matplotlib.rc_context(RC):
        for name, figure in draw.items():
            save_figure(figure(), Path(out_dir, name))


def noise_curves(averages: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw ID (top) and OOD (bottom) accuracy against the noise ratio: a column for each recipe and noise kind.

    Parameters
    ----------
    averages
        The table `averages`; accuracy with all of the training data is drawn, bars are its intervals.
    names
        A title for each (corpus, recipe, noise kind).
    """
    rows = averages[averages["metric"] == HEADLINE_METRIC]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    groups = [group for group in HEADLINE_GROUPS if group in set(rows["group"])]
    figure = Figure(figsize=(max(PAGE_WIDTH * len(names) / 2, COLUMN_WIDTH), 2.35 * len(groups) + 0.3))
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    axes = figure.subplots(len(groups), len(names), squeeze=False, sharex=True)
    for row, group in enumerate(groups):
        for column, key in enumerate(names):
            _noise_panel(axes[row, column], rows[rows["group"] == group], key)
            axes[row, column].set_title(names[key] if row == 0 else "")
        axes[row, 0].set_ylabel(f"{group.upper()} accuracy (%)")
    for bottom in axes[-1]:
        bottom.set_xlabel(_NOISE_LABEL)
    _curve_legend(figure, sorted(set(rows["method"]) - {MAJORITY}, key=method_rank))
    return figure


def _noise_panel(axes: Axes, rows: pd.DataFrame, key: tuple[str, str, str]) -> None:
    drawn = noise_series(rows[rows["noise_kind"] != UNTRAINED])
    drawn = drawn[(drawn[_SERIES] == key).all(axis=1)].sort_values("noise_percent")
    curves = drawn[drawn["method"] != MAJORITY]
    methods = sorted(set(curves["method"]), key=method_rank)
    ratios = sorted(set(curves["noise_percent"]))
    # Points side by side, but never nearer to the next ratio than to their own.
    dodge = min(0.014 * max(ratios[-1], 1), 0.6 * min(np.diff(ratios), default=1) / len(methods))
    for place, method in enumerate(methods):
        part = curves[curves["method"] == method]
        shift = dodge * (place - (len(methods) - 1) / 2)
        errors = 100 * np.array([part["value"] - part["low"], part["high"] - part["value"]])
        x, y = part["noise_percent"] + shift, 100 * part["value"]
        axes.errorbar(x, y, errors, **method_style(method, methods), elinewidth=0.8, capsize=1.8, capthick=0.8)
    _mark_ratios(axes, ratios)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")
    low, high = 100 * curves["low"].min(), 100 * curves["high"].max()
    _draw_controls(axes, _control_levels(rows, drawn, key[:2]), low, high)


def _of_recipe(rows: pd.DataFrame, recipe: tuple[str, str]) -> pd.Series:
    """Return which rows are of a (corpus, recipe); boolean."""
    return (rows["corpus"] == recipe[0]) & (rows["recipe"] == recipe[1])


def _mark_ratios(axes: Axes, ratios: list[float]) -> None:
    axes.set_xticks(ratios, labels=[f"{ratio:g}" for ratio in ratios])


def _control_levels(rows: pd.DataFrame, drawn: pd.DataFrame, recipe: tuple[str, str]) -> list[tuple[str, str, float]]:
    """Return name, line style and level in percent of the controls of a (corpus, recipe) that there are."""
    untrained = rows[(rows["noise_kind"] == UNTRAINED) & (rows["method"] == "lp") & _of_recipe(rows, recipe)]
    majority = drawn[drawn["method"] == MAJORITY]
    found = (("untrained, LP", "--", untrained), (METHODS[MAJORITY], ":", majority))
    return [(name, style, 100 * part["value"].iloc[0]) for name, style, part in found if len(part)]


def _draw_controls(axes: Axes, controls: list[tuple[str, str, float]], low: float, high: float) -> None:
    """Draw a control as a line if it lies near the curves; otherwise write its level at the lower edge."""
    margin = 0.06 * (high - low) + 0.1
    reach = 0.6 * (high - low)
    near = [level for _, _, level in controls if low - reach <= level <= high + reach]
    bottom, top = min([low, *near]) - margin, max([high, *near]) + margin
    outside = [
        f"{'↓' if level < bottom else '↑'} {name}: {level:.1f}" for name, _, level in controls if level not in near
    ]
    # The text needs a strip of its own, below the curves.
    axes.set_ylim(bottom - (0.14 * (top - bottom) if outside else 0), top)
    for name, style, level in controls:
        if level in near:
            axes.axhline(level, color=CONTROL, linestyle=style, linewidth=1, label=name)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    place = {"transform": axes.transAxes, "ha": "center", "va": "bottom"}
    axes.text(0.5, 0.03, "   ".join(outside), color=CONTROL, bbox=white if outside else None, **place)


def _curve_legend(figure: Figure, methods: list[str]) -> None:
    handles = [Line2D([], [], **method_style(method, methods), label=method_label(method)) for method in methods]
    lines = [line for axes in figure.axes for line in axes.lines if not line.get_label().startswith("_")]
    controls = {line.get_label(): line for line in lines}
    handles += [controls[name] for name in sorted(controls, reverse=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)


def spectrum_scatter(
    points: pd.DataFrame, associations: pd.DataFrame, names: dict[tuple[str, str, str], str]
) -> Figure:
    """Draw SVE against ID accuracy and LSVR against OOD accuracy: as measured (top), and within tasks (bottom).

    Parameters
    ----------
    points
        Rows of `nml.reporting.associations.spectrum_points`.
    associations
        The table `associations`, written above the bottom panels.
    names
        The (corpus, recipe, noise kind) that there are, in the order of the legend.
    """
    pairs = [pair for pair in PAIRS if pair[0] in set(points["group"])] or PAIRS
    figure = Figure(figsize=(PAGE_WIDTH, 5.6))
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.08)
    axes = figure.subplots(2, len(pairs), squeeze=False)
    recipes = list(dict.fromkeys((corpus, recipe) for corpus, recipe, _ in names))
    colours = ratio_colours(sorted(set(points["noise_percent"])))
    for column, (group, quantity) in enumerate(pairs):
        part = points[points["group"] == group]
        _join_tasks(axes[0, column], part, quantity)
        _scatter(axes[0, column], part[quantity], 100 * part["accuracy"], part, recipes, colours)
        within = centred(part, quantity), 100 * centred(part, "accuracy")
        _scatter(axes[1, column], *within, part, recipes, colours)
        symbol = quantity.upper()
        axes[0, column].set(title=f"{symbol} and {group.upper()} accuracy", xlabel=_QUANTITIES[quantity])
        axes[0, column].set_ylabel(f"{group.upper()} accuracy of LP (%)")
        axes[1, column].set_xlabel(f"{symbol} $-$ task mean (nats)")
        axes[1, column].set_ylabel("accuracy $-$ task mean (points)")
        _write_associations(axes[1, column], associations[associations["group"] == group], recipes)
    _scatter_legend(figure, recipes, colours)
    return figure


def _scatter(
    axes: Axes, x: pd.Series, y: pd.Series, points: pd.DataFrame, recipes: list[tuple[str, str]], colours: dict
) -> None:
    for place, (corpus, recipe) in enumerate(recipes):
        mine = (points["corpus"] == corpus) & (points["recipe"] == recipe)
        shades = [colours[percent] for percent in points.loc[mine, "noise_percent"]]
        axes.scatter(
            x[mine], y[mine], s=17, c=shades, marker=series_marker(place), edgecolors="0.25", linewidths=0.4, alpha=0.9
        )  # fmt: skip
    axes.grid()


def _join_tasks(axes: Axes, points: pd.DataFrame, quantity: str) -> None:
    """Join the encoders of a recipe on the same test set by a faint line, in the order of their noise."""
    for _, part in points.groupby(["corpus", "recipe", "task", "test_set", "pretrain_seed"]):
        for _, line in noise_series(part).sort_values("noise_percent").groupby("kind"):
            axes.plot(line[quantity], 100 * line["accuracy"], color="0.75", linewidth=0.6, zorder=1)


def _write_associations(axes: Axes, found: pd.DataFrame, recipes: list[tuple[str, str]]) -> None:
    """Write one line a recipe above the points, where nothing is hidden."""
    names = _recipe_names(recipes)
    lines = [
        f"{names[row.corpus, row.recipe]}: "
        + (
            f"$\\rho$ = {row.spearman:+.2f}, p {p_label(row.p)}, E = {row.encoders} encoders"
            if pd.notna(row.spearman)
            else "too few encoders for a correlation"
        )
        for row in sort_rows(found, lambda row: (recipes.index((row["corpus"], row["recipe"])),)).itertuples()
    ]
    axes.set_title("\n".join(lines), loc="left", fontsize=7, linespacing=1.35)


def _recipe_names(recipes: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Name each (corpus, recipe): by the recipe alone where there is one corpus."""
    one_corpus = len({corpus for corpus, _ in recipes}) == 1
    return {(corpus, recipe): recipe if one_corpus else f"{corpus}/{recipe}" for corpus, recipe in recipes}


def _scatter_legend(figure: Figure, recipes: list[tuple[str, str]], colours: dict) -> None:
    plain = {"linestyle": "", "markersize": 5, "markeredgecolor": "0.25", "markeredgewidth": 0.4}
    handles = [
        Line2D([], [], marker=series_marker(place), label=name, **plain | {"mfc": "white", "markeredgewidth": 0.8})
        for place, name in enumerate(_recipe_names(recipes).values())
    ]
    handles += [Line2D([], [], linestyle="", label="   noise:")]
    handles += [
        Line2D([], [], marker="o", markerfacecolor=colour, label=f"{percent:g} %", **plain)
        for percent, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handletextpad=0.1, columnspacing=1)


def pretraining_accuracy(pretraining: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw clean validation accuracy of pre-training against the noise ratio, one line a recipe and noise kind."""
    figure = Figure(figsize=(COLUMN_WIDTH, 2.6))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    rows = noise_series(pretraining.dropna(subset=["validation_accuracy"]))
    rows = rows[rows["noise_kind"] != UNTRAINED]
    for place, key in enumerate(names):
        part = rows[(rows[_SERIES] == key).all(axis=1)]
        seeds = 100 * part.groupby("noise_percent")["validation_accuracy"].agg(["mean", "min", "max"])
        errors = np.array([seeds["mean"] - seeds["min"], seeds["max"] - seeds["mean"]])
        axes.errorbar(
            seeds.index, seeds["mean"], errors if errors.any() else None, label=names[key], capsize=1.8, elinewidth=0.8,
            marker=series_marker(place), color=series_colour(place),
        )  # fmt: skip
    axes.set(xlabel=_NOISE_LABEL, ylabel="clean validation accuracy (%)")
    _mark_ratios(axes, sorted(set(rows["noise_percent"])))
    axes.margins(y=0.12)
    axes.grid(axis="y")
    figure.legend(loc="outside upper center", ncols=1)
    return figure


def learning_curves(learning: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw the loss and the clean validation accuracy by epoch, a column a recipe and noise kind, a line a ratio.

    Lines are means over the pre-training seeds.
    """
    figure = Figure(figsize=(max(PAGE_WIDTH * len(names) / 2, COLUMN_WIDTH), 4.2))
    figure.set_layout_engine("constrained", w_pad=0.06)
    axes = figure.subplots(2, len(names), squeeze=False, sharex="col")
    rows = noise_series(learning.assign(validation_accuracy=100 * learning["validation_accuracy"]))
    colours = ratio_colours(sorted(set(rows["noise_percent"])))
    for column, key in zip(axes.T, names, strict=True):
        part = rows[(rows[_SERIES] == key).all(axis=1)]
        for panel, quantity in zip(column, ("loss", "validation_accuracy"), strict=True):
            for percent, lines in part.groupby("noise_percent"):
                means = lines.groupby("epoch")[quantity].mean()
                panel.plot(means.index, means, color=colours[percent], linewidth=1.1)
            panel.grid()
        column[0].set_title(names[key])
        column[1].set_xlabel("epoch")
        column[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("training loss")
    axes[1, 0].set_ylabel("clean validation accuracy (%)")
    handles = [Line2D([], [], color=colour, label=f"{percent:g} %") for percent, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
    return figure


def spectrum_decay(singular_values: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw the mean normalised spectra, log-log, one panel for each recipe and noise kind, one line a noise ratio."""
    figure = Figure(figsize=(max(PAGE_WIDTH * len(names) / 2, COLUMN_WIDTH), 2.9))
    figure.set_layout_engine("constrained", w_pad=0.06)
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    trained = noise_series(singular_values[singular_values["noise_kind"] != UNTRAINED])
    control = singular_values[singular_values["noise_kind"] == UNTRAINED]
    colours = ratio_colours(sorted(set(trained["noise_percent"])))
    for panel, key in zip(axes, names, strict=True):
        _decay_lines(panel, control[_of_recipe(control, key[:2])], {0.0: "0.6"}, "--")
        _decay_lines(panel, trained[(trained[_SERIES] == key).all(axis=1)], colours, "-")
        panel.set(xscale="log", yscale="log", title=names[key], xlabel="rank k")
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid()
    axes[0].set_ylabel(r"$\sigma_k \,/\, \Sigma_i\sigma_i$")
    handles = [Line2D([], [], color=colour, label=f"{percent:g} %") for percent, colour in colours.items()]
    handles += [Line2D([], [], color="0.6", linestyle="--", label="untrained encoder")] if len(control) else []
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
    return figure


def _decay_lines(axes: Axes, rows: pd.DataFrame, colours: dict, style: str) -> None:
    for percent, part in rows[rows["share"] > _SMALLEST_SHARE].groupby("noise_percent"):
        axes.plot(part["rank"], part["share"], color=colours[percent], linestyle=style, linewidth=1.1)


def _series_names(averages: pd.DataFrame, pretraining: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Name every (corpus, recipe, noise kind) that is drawn, such as `supervised: resnet-mini, symmetric noise`."""
    trained = noise_series(averages[averages["noise_kind"] != UNTRAINED])
    keys = trained[_SERIES].drop_duplicates().sort_values(_SERIES).itertuples(index=False, name=None)
    objectives = pretraining.dropna(subset=["objective"]).set_index(["corpus", "recipe"])["objective"].to_dict()
    several = trained["corpus"].nunique() > 1
    names = {}
    for corpus, recipe, kind in keys:
        objective = objectives.get((corpus, recipe), "")
        title = f"{corpus}/{recipe}" if several else recipe
        noise = kind if kind == CLEAN else f"{kind} noise"
        names[corpus, recipe, kind] = f"{OBJECTIVES.get(objective, objective)}: {title}, {noise}".removeprefix(": ")
    return dict(sorted(names.items(), key=lambda item: not item[1].startswith(OBJECTIVES["supervised"])))
