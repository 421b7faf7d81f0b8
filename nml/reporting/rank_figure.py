"""The critical-difference diagram."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nml.reporting.labels import method_label, p_label
from nml.reporting.series import recipes_of
from nml.reporting.style import COLUMN_WIDTH, PAGE_WIDTH


def critical_difference(ranks: pd.DataFrame, names: Iterable[tuple[str, str, str]]) -> Figure:
    """Draw the average rank of each method, and a bar over methods that do not differ: a row a recipe and group.

    A recipe and group where no encoder has all methods on any unit have no ranks, and no panel.

    Parameters
    ----------
    ranks
        The table `ranks`.
    names
        The (corpus, recipe, noise kind) that there are, in the order of the panels.
    """
    ranks = ranks.dropna(subset=["rank"])
    recipes = recipes_of(names)
    panels = sorted(
        ranks.groupby(["corpus", "recipe", "group"], sort=False), key=lambda panel: recipes.index(panel[0][:2])
    )
    columns = min(2, max(len(panels), 1))
    rows = max(1, -(-len(panels) // columns))
    height = 0.75 + 0.17 * ranks.groupby(["corpus", "recipe", "group"]).size().max() if len(ranks) else 1.0
    figure = Figure(figsize=(PAGE_WIDTH if columns > 1 else COLUMN_WIDTH + 0.4, rows * height + 0.2))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    several = ranks["corpus"].nunique() > 1
    for place, (panel, ((corpus, recipe, group), part)) in enumerate(zip(axes, panels, strict=False)):
        name = f"{corpus}/{recipe}" if several else recipe
        _panel(panel, part.sort_values("rank"), f"{name}, {group.upper()}")
        panel.set_xlabel("average rank (1 is best)" if place >= len(panels) - columns else "")
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    return figure


def cliques(ranks: list[float], critical: float) -> list[tuple[int, int]]:
    """Return the longest runs (first, last) of sorted ranks whose ends are within the critical difference."""
    found: list[tuple[int, int]] = []
    for first, low in enumerate(ranks):
        last = max(place for place, rank in enumerate(ranks) if rank - low <= critical)
        if last > first and not (found and found[-1][1] >= last):
            found.append((first, last))
    return found


def _panel(axes: Axes, part: pd.DataFrame, title: str) -> None:
    ranks, methods = part["rank"].tolist(), len(part)
    for place, row in enumerate(part.itertuples()):
        # The best has the longest stem, so that none runs through the labels, which are on the right of theirs.
        level = methods - place
        axes.plot([row.rank, row.rank], [0, level], color="0.6", linewidth=0.8, zorder=1)
        axes.plot(row.rank, 0, marker="o", color="black", markersize=3.5, clip_on=False, zorder=3)
        axes.annotate(
            f"{method_label(row.method)}  {row.rank:.2f}", (row.rank, level), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=7.5,
        )  # fmt: skip
    critical = part["critical_difference"].iloc[0]
    for place, (first, last) in enumerate(cliques(ranks, critical) if pd.notna(critical) else []):
        axes.plot([ranks[first], ranks[last]], [0.3 + 0.32 * place] * 2, color="#D55E00", linewidth=3, zorder=2)
    axes.set(xlim=(0.9, max(methods, 2) + 0.6), ylim=(methods + 0.6, -0.15), yticks=[])
    axes.set_xticks(range(1, methods + 1))
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(side == "bottom")
    p = part["friedman_p"].iloc[0]
    facts = [f"{part['units'].iloc[0]} units"]
    facts += [f"CD = {critical:.2f}"] if pd.notna(critical) else []
    facts += [f"Friedman p {p_label(p)}"] if pd.notna(p) else []
    axes.set_title(f"{title}\n{', '.join(facts)}", loc="left", fontsize=7.5)
