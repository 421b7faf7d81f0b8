"""Figures of the spectra of feature spaces."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from nml.grid import UNTRAINED
from nml.reporting.associations import PAIRS, centred
from nml.reporting.labels import p_label
from nml.reporting.series import SERIES, noise_series, of_recipe, recipes_of, sort_rows
from nml.reporting.style import COLUMN_WIDTH, PAGE_WIDTH, ratio_colours, ratio_handles, series_marker

_QUANTITIES = {"sve": "SVE (nats)", "lsvr": r"LSVR $= -\log(\sigma_1/\,\Sigma_i\sigma_i)$ (nats)"}
_SMALLEST_SHARE = 1e-6
_FIT_STYLES = ("-", "--", ":", "-.")
"""Of the recipes' fits, in the order of their markers."""


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
    recipes = recipes_of(names)
    colours = ratio_colours(sorted(set(points["noise_percent"])))
    for column, (group, quantity) in enumerate(pairs):
        part = points[points["group"] == group]
        _join_tasks(axes[0, column], part, quantity)
        _scatter(axes[0, column], part[quantity], 100 * part["accuracy"], part, recipes, colours)
        within = centred(part, quantity), 100 * centred(part, "accuracy")
        _scatter(axes[1, column], *within, part, recipes, colours)
        _draw_fits(axes[1, column], *within, part, recipes)
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
            x[mine], y[mine], s=10, c=shades, marker=series_marker(place), edgecolors="0.25", linewidths=0.25, alpha=0.6
        )  # fmt: skip
    axes.grid()


def _draw_fits(axes: Axes, x: pd.Series, y: pd.Series, points: pd.DataFrame, recipes: list[tuple[str, str]]) -> None:
    """Draw each recipe's least-squares line; that of centred points passes through zero."""
    for place, recipe in enumerate(recipes):
        own, fitted = x[of_recipe(points, recipe)], y[of_recipe(points, recipe)]
        if own.nunique() < 2:
            continue
        ends = np.array([own.min(), own.max()])
        slope = (own * fitted).sum() / (own**2).sum()
        axes.plot(ends, slope * ends, color="0.15", linestyle=_FIT_STYLES[place % len(_FIT_STYLES)], linewidth=1)


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
        Line2D([], [], marker=series_marker(place), label=name, **plain | _of_fit(place))
        for place, name in enumerate(_recipe_names(recipes).values())
    ]
    handles += [Line2D([], [], linestyle="", label="   noise:")]
    handles += [
        Line2D([], [], marker="o", markerfacecolor=colour, label=f"{percent:g} %", **plain)
        for percent, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handletextpad=0.1, columnspacing=1)


def _of_fit(place: int) -> dict[str, Any]:
    """Return how the legend draws a recipe: its marker on the line of its fit."""
    line = {"color": "0.15", "linestyle": _FIT_STYLES[place % len(_FIT_STYLES)], "linewidth": 1}
    return line | {"markerfacecolor": "white", "markeredgewidth": 0.8}


def spectrum_decay(singular_values: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw the mean normalised spectra, log-log, a column for each recipe and noise kind, one line a noise ratio.

    Below, relative to those of clean pre-training, from which they differ by less than the lines above are wide.
    """
    singular_values = singular_values[singular_values["share"] > _SMALLEST_SHARE]
    figure = Figure(figsize=(max(PAGE_WIDTH * len(names) / 2, COLUMN_WIDTH), 4.6))
    figure.set_layout_engine("constrained", w_pad=0.06)
    axes = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row")
    trained = noise_series(singular_values[singular_values["noise_kind"] != UNTRAINED])
    control = singular_values[singular_values["noise_kind"] == UNTRAINED]
    colours = ratio_colours(sorted(set(trained["noise_percent"])))
    for panel, below, key in zip(*axes, names, strict=True):
        own = trained[(trained[SERIES] == key).all(axis=1)]
        clean = own[own["noise_percent"] == 0].set_index("rank")["share"]
        _decay_lines(panel, control[of_recipe(control, key[:2])], {0.0: "0.6"}, "--")
        _decay_lines(panel, own, colours, "-")
        _decay_lines(below, own.assign(share=own["share"] / own["rank"].map(clean)), colours, "-")
        panel.set(xscale="log", yscale="log", title=names[key])
        below.set_xlabel("rank k")
        below.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        below.xaxis.set_minor_formatter(NullFormatter())
        panel.grid()
        below.grid()
    axes[0, 0].set_ylabel(r"$\sigma_k \,/\, \Sigma_i\sigma_i$")
    axes[1, 0].set_ylabel("relative to clean")
    handles = ratio_handles(colours)
    handles += [Line2D([], [], color="0.6", linestyle="--", label="untrained encoder")] if len(control) else []
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
    return figure


def _decay_lines(axes: Axes, rows: pd.DataFrame, colours: dict, style: str) -> None:
    for percent, part in rows.groupby("noise_percent"):
        axes.plot(part["rank"], part["share"], color=colours[percent], linestyle=style, linewidth=1.1)
