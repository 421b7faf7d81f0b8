"""Figures of single tasks, of parts of their training data, and of run time."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from nml.grid import UNTRAINED
from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC, MAJORITY, method_label, method_rank
from nml.reporting.series import SERIES, noise_series, recipes_of
from nml.reporting.style import (
    COLUMN_WIDTH,
    NOISE_LABEL,
    PAGE_WIDTH,
    method_style,
    ratio_colours,
    ratio_handles,
    series_colour,
    series_marker,
)

_COLUMNS = 5


def per_task_curves(per_task: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw linear probing on each test set against the noise ratio, one small panel a test set, ID before OOD.

    Parameters
    ----------
    per_task
        The table `per_task`.
    names
        A name for each (corpus, recipe, noise kind).
    """
    rows = per_task[(per_task["metric"] == HEADLINE_METRIC) & (per_task["method"] == "lp")]
    rows = rows[(rows["fraction"] == rows["fraction"].max()) & (rows["noise_kind"] != UNTRAINED)]
    rows = noise_series(rows[rows["group"].isin(HEADLINE_GROUPS)])
    order = {group: place for place, group in enumerate(HEADLINE_GROUPS)}
    sets = sorted(set(zip(rows["group"], rows["task"], rows["test_set"], strict=True)), key=lambda s: (order[s[0]], s))
    lines = max(1, -(-len(sets) // _COLUMNS))
    figure = Figure(figsize=(PAGE_WIDTH, 1.35 * lines + 0.5))
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.04)
    axes = figure.subplots(lines, _COLUMNS, squeeze=False, sharex=True).ravel()
    for panel, (group, task, test_set) in zip(axes, sets, strict=False):
        own = rows[(rows["group"] == group) & (rows["task"] == task) & (rows["test_set"] == test_set)]
        _task_panel(panel, own, names)
        name = task if group == "id" else test_set.removeprefix("test-")
        panel.set_title(f"{name} ({group.upper()})", fontsize=6.5)
        panel.tick_params(labelsize=6)
        panel.set_xticks(sorted(set(rows["noise_percent"])))
        panel.grid(axis="y")
    for panel in axes[max(len(sets) - _COLUMNS, 0) : len(sets)]:
        # The lowest of its column, also where the last line is not full.
        panel.tick_params(labelbottom=True)
    for panel in axes[len(sets) :]:
        panel.set_axis_off()
    figure.supxlabel(NOISE_LABEL, fontsize=8)
    figure.supylabel("accuracy of LP (%)", fontsize=8)
    handles = [
        Line2D([], [], color=series_colour(place), marker=series_marker(place), label=name)
        for place, name in enumerate(names.values())
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 2))
    return figure


def _task_panel(axes: Axes, rows: pd.DataFrame, names: Iterable[tuple[str, str, str]]) -> None:
    """Draw one test set, a line for each of the names; side by side, so that no bar hides another."""
    names, dodge = list(names), 0.025 * max(rows["noise_percent"].max(), 1)
    for place, key in enumerate(names):
        part = rows[(rows[SERIES] == key).all(axis=1)].sort_values("noise_percent")
        errors = 100 * np.array([part["value"] - part["low"], part["high"] - part["value"]])
        style = {"color": series_colour(place), "marker": series_marker(place), "markersize": 2.5}
        x = part["noise_percent"] + dodge * (place - (len(names) - 1) / 2)
        axes.errorbar(x, 100 * part["value"], errors, linewidth=0.9, elinewidth=0.6, **style)


def fraction_curves(averages: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw ID (top) and OOD (bottom) accuracy of linear probing against the percent of the training data.

    Parameters
    ----------
    averages
        The table `averages`; bars are its intervals.
    names
        A title for each (corpus, recipe, noise kind), which takes a column; a line a noise ratio.
    """
    rows = averages[(averages["metric"] == HEADLINE_METRIC) & (averages["method"] == "lp")]
    rows = noise_series(rows[rows["noise_kind"] != UNTRAINED])
    groups = [group for group in HEADLINE_GROUPS if group in set(rows["group"])] or list(HEADLINE_GROUPS)
    colours = ratio_colours(sorted(set(rows["noise_percent"])))
    figure = Figure(figsize=(max(PAGE_WIDTH * len(names) / 2, COLUMN_WIDTH), 2.2 * len(groups) + 0.3))
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    axes = figure.subplots(len(groups), len(names), squeeze=False, sharex=True)
    for row, group in enumerate(groups):
        for panel, key in zip(axes[row], names, strict=True):
            own = rows[(rows["group"] == group) & (rows[SERIES] == key).all(axis=1)].sort_values("fraction")
            for percent, part in own.groupby("noise_percent"):
                errors = 100 * np.array([part["value"] - part["low"], part["high"] - part["value"]])
                style = {"color": colours[percent], "marker": "o", "markersize": 3, "elinewidth": 0.8, "capsize": 1.8}
                panel.errorbar(part["fraction"], 100 * part["value"], errors, **style)
            panel.set(title=names[key] if row == 0 else "", xticks=sorted(set(rows["fraction"])))
            panel.grid(axis="y")
        axes[row, 0].set_ylabel(f"{group.upper()} accuracy of LP (%)")
    for bottom in axes[-1]:
        bottom.set_xlabel("training data (%)")
    figure.legend(handles=ratio_handles(colours), loc="outside upper center", ncols=len(colours) or 1)
    return figure


def run_time(averages: pd.DataFrame, run_times: pd.DataFrame, names: Iterable[tuple[str, str, str]]) -> Figure:
    """Draw ID and OOD accuracy of each method against the seconds of a cell, a mark a recipe.

    Parameters
    ----------
    averages, run_times
        The tables of these names.
    names
        The (corpus, recipe, noise kind) that there are, in the order of the legend.
    """
    rows = averages[(averages["metric"] == HEADLINE_METRIC) & (averages["noise_kind"] != UNTRAINED)]
    rows = rows[(rows["fraction"] == rows["fraction"].max()) & (rows["method"] != MAJORITY)]
    key = ["corpus", "recipe", "method"]
    means = rows.groupby([*key, "group"])["value"].mean().reset_index().merge(run_times[[*key, "seconds"]], on=key)
    means = means.dropna(subset=["seconds"])
    methods = sorted(set(rows["method"]), key=method_rank)
    recipes = recipes_of(names)
    figure = Figure(figsize=(PAGE_WIDTH, 2.7))
    figure.set_layout_engine("constrained", w_pad=0.08)
    for panel, group in zip(figure.subplots(1, 2), HEADLINE_GROUPS, strict=True):
        for row in means[means["group"] == group].itertuples():
            marker = series_marker(recipes.index((row.corpus, row.recipe)))
            style = {"marker": marker, "color": method_style(row.method, methods)["color"], "markersize": 6}
            panel.plot(row.seconds, 100 * row.value, linestyle="", **style)
        panel.set(xscale="log", xlabel="seconds a cell", ylabel=f"{group.upper()} accuracy (%)")
        panel.margins(x=0.25, y=0.15)
        low, high = panel.get_xlim()
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)) if high > 5 * low else MaxNLocator(4))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid()
    handles = [
        Line2D(
            [], [], marker="s", linestyle="", color=method_style(method, methods)["color"], label=method_label(method)
        )
        for method in methods
    ]
    handles += [
        Line2D([], [], marker=series_marker(place), linestyle="", color="black", mfc="white", label="/".join(recipe))
        for place, recipe in enumerate(recipes)
    ]
    columns = min(len(handles), 6)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, handletextpad=0.1)
    return figure
