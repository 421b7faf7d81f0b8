"""How figures look: sizes of a printed page, and colours that colour-blind readers can tell apart."""

from typing import Any

from matplotlib.lines import Line2D

COLUMN_WIDTH = 3.3
PAGE_WIDTH = 6.9
"""Inches; one column and the full width of a two-column paper."""

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}
CONTROL = "0.35"
NOISE_LABEL = "noise in pre-training (%)"
# The palette of Okabe and Ito (2008), without its yellow, which is too faint on paper.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_METHODS = ("lp", "mlp", "nmtune")


def method_style(method: str, methods: list[str]) -> dict[str, Any]:
    """Return colour and marker; the three methods of the paper always keep theirs, others follow in their order."""
    others = [name for name in methods if name not in _METHODS]
    place = (*_METHODS, *others).index(method)
    return {"color": _PALETTE[place % len(_PALETTE)], "marker": _MARKERS[place % len(_MARKERS)]}


def series_marker(place: int) -> str:
    """Return the marker of the place-th recipe."""
    return _MARKERS[place % len(_MARKERS)]


def series_colour(place: int) -> str:
    """Return the colour of the place-th recipe and noise kind, where no methods are drawn."""
    return _PALETTE[(0, 4, 2, 3, 1, 5)[place % len(_PALETTE)]]


def ratio_colours(percents: list[float]) -> dict[float, tuple[float, float, float, float]]:
    """Return one colour of a sequential, perceptually uniform map for each noise ratio, darker for more noise."""
    from matplotlib import colormaps

    span = max(len(percents) - 1, 1)
    return {percent: colormaps["viridis_r"](0.08 + 0.92 * place / span) for place, percent in enumerate(percents)}


def ratio_handles(colours: dict[float, Any]) -> list[Line2D]:
    """Return a legend's line for each noise ratio."""
    return [Line2D([], [], color=colour, label=f"{percent:g} %") for percent, colour in colours.items()]
