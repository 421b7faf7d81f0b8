"""Figures over the noise ratio and over the epochs of pre-training."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nml.grid import UNTRAINED
from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC, MAJORITY, METHODS, method_label, method_rank
from nml.reporting.series import SERIES, noise_series, of_recipe
from nml.reporting.style import (
    COLUMN_WIDTH,
    CONTROL,
    NOISE_LABEL,
    PAGE_WIDTH,
    method_style,
    ratio_colours,
    ratio_handles,
    series_colour,
    series_marker,
)


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
    axes = figure.subplots(len(groups), len(names), squeeze=False, sharex="col")
    for row, group in enumerate(groups):
        for column, key in enumerate(names):
            _noise_panel(axes[row, column], rows[rows["group"] == group], key)
            axes[row, column].set_title(names[key] if row == 0 else "")
        axes[row, 0].set_ylabel(f"{group.upper()} accuracy (%)")
    for bottom in axes[-1]:
        bottom.set_xlabel(NOISE_LABEL)
    method_legend(figure, sorted(set(rows["method"]) - {MAJORITY}, key=method_rank))
    return figure


def _noise_panel(axes: Axes, rows: pd.DataFrame, key: tuple[str, str, str]) -> None:
    drawn = noise_series(rows[rows["noise_kind"] != UNTRAINED])
    drawn = drawn[(drawn[SERIES] == key).all(axis=1)].sort_values("noise_percent")
    curves = drawn[drawn["method"] != MAJORITY]
    percent = curves.assign(**{name: 100 * curves[name] for name in ("value", "low", "high")})
    draw_method_curves(axes, percent)
    if curves.empty:
        return
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    low, high = 100 * curves["low"].min(), 100 * curves["high"].max()
    _draw_controls(axes, _control_levels(rows, drawn, key[:2]), low, high)


def draw_method_curves(axes: Axes, curves: pd.DataFrame) -> None:
    """Draw `value` with its interval, where it has one, against `noise_percent`, one curve a method, if any."""
    if curves.empty:
        axes.text(0.5, 0.5, "no cells", color=CONTROL, ha="center", va="center", transform=axes.transAxes)
        return
    methods = sorted(set(curves["method"]), key=method_rank)
    ratios = sorted(set(curves["noise_percent"]))
    # Points side by side, but never nearer to the next ratio than to their own.
    dodge = min(0.014 * max(ratios[-1], 1), 0.6 * min(np.diff(ratios), default=1) / len(methods))
    for place, method in enumerate(methods):
        part = curves[curves["method"] == method].sort_values("noise_percent")
        shift = dodge * (place - (len(methods) - 1) / 2)
        errors = np.array([part["value"] - part["low"], part["high"] - part["value"]])
        x = part["noise_percent"] + shift
        axes.errorbar(
            x, part["value"], errors, **method_style(method, methods), elinewidth=0.8, capsize=1.8, capthick=0.8
        )
    _mark_ratios(axes, ratios)
    axes.grid(axis="y")


def _control_levels(rows: pd.DataFrame, drawn: pd.DataFrame, recipe: tuple[str, str]) -> list[tuple[str, str, float]]:
    """Return name, line style and level in percent of the controls of a (corpus, recipe) that there are."""
    untrained = rows[(rows["noise_kind"] == UNTRAINED) & (rows["method"] == "lp") & of_recipe(rows, recipe)]
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


def method_legend(figure: Figure, methods: list[str]) -> None:
    """Put the methods, and the controls that are drawn as lines, above the panels."""
    handles = [Line2D([], [], **method_style(method, methods), label=method_label(method)) for method in methods]
    lines = [line for axes in figure.axes for line in axes.lines if not line.get_label().startswith("_")]
    controls = {line.get_label(): line for line in lines}
    handles += [controls[name] for name in sorted(controls, reverse=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)


def _mark_ratios(axes: Axes, ratios: list[float]) -> None:
    axes.set_xticks(ratios, labels=[f"{ratio:g}" for ratio in ratios])


def pretraining_accuracy(pretraining: pd.DataFrame, names: dict[tuple[str, str, str], str]) -> Figure:
    """Draw clean validation accuracy of pre-training against the noise ratio, one line a recipe and noise kind."""
    figure = Figure(figsize=(COLUMN_WIDTH, 2.6))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    rows = noise_series(pretraining.dropna(subset=["validation_accuracy"]))
    rows = rows[rows["noise_kind"] != UNTRAINED]
    for place, key in enumerate(names):
        part = rows[(rows[SERIES] == key).all(axis=1)]
        seeds = 100 * part.groupby("noise_percent")["validation_accuracy"].agg(["mean", "min", "max"])
        errors = np.array([seeds["mean"] - seeds["min"], seeds["max"] - seeds["mean"]])
        axes.errorbar(
            seeds.index, seeds["mean"], errors if errors.any() else None, label=names[key], capsize=1.8, elinewidth=0.8,
            marker=series_marker(place), color=series_colour(place),
        )  # fmt: skip
    axes.set(xlabel=NOISE_LABEL, ylabel="clean validation accuracy (%)")
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
        part = rows[(rows[SERIES] == key).all(axis=1)]
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
    handles = ratio_handles(colours)
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
    return figure
