"""Accuracy, and the spectrum of what tuning makes of the features, side by side."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nml.grid import UNTRAINED
from nml.reporting.labels import HEADLINE_METRIC, method_rank
from nml.reporting.noise_figures import draw_method_curves, method_legend
from nml.reporting.series import SERIES, noise_series
from nml.reporting.style import NOISE_LABEL, PAGE_WIDTH
from nml.reporting.tuned_spectra import average_tuned_spectra

_PANELS = (
    ("id", "accuracy", "ID accuracy (%)"),
    ("id", "sve", "ID SVE (nats)"),
    ("ood", "accuracy", "OOD accuracy (%)"),
    ("ood", "lsvr", "OOD LSVR (nats)"),
)


def tuned_spectrum_curves(
    averages: pd.DataFrame, tuned: pd.DataFrame, names: dict[tuple[str, str, str], str]
) -> Figure:
    """Draw ID accuracy, SVE, OOD accuracy and LSVR of each method against the noise ratio: a row a recipe and noise.

    Parameters
    ----------
    averages
        The table `averages`; accuracy with all of the training data is drawn.
    tuned
        The table `tuned_spectra`.
    names
        A title for each (corpus, recipe, noise kind).
    """
    rows = _drawn(averages, tuned)
    figure = Figure(figsize=(PAGE_WIDTH, 1.75 * len(names) + 0.4))
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.05)
    axes = figure.subplots(len(names), len(_PANELS), squeeze=False, sharex="row")
    for line, (key, title) in zip(axes, names.items(), strict=True):
        own = rows[(rows[SERIES] == key).all(axis=1)]
        for panel, (group, quantity, label) in zip(line, _PANELS, strict=True):
            draw_method_curves(panel, own[(own["group"] == group) & (own["quantity"] == quantity)])
            panel.yaxis.set_major_locator(MaxNLocator(nbins=5))
            panel.tick_params(labelsize=6.5)
            panel.set_title(label, fontsize=7.5)
        line[0].set_ylabel(title.replace(": ", ":\n").replace(", ", ",\n"), fontsize=7)
    figure.supxlabel(NOISE_LABEL, fontsize=8)
    method_legend(figure, sorted(set(rows["method"]), key=method_rank))
    return figure


def _drawn(averages: pd.DataFrame, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the averages of accuracy, in percent, and of the spectra, of the methods that have both, as curves."""
    spectra = average_tuned_spectra(tuned)
    accuracy = averages[(averages["metric"] == HEADLINE_METRIC) & averages["method"].isin(set(spectra["method"]))]
    accuracy = accuracy[accuracy["fraction"] == accuracy["fraction"].max()].assign(quantity="accuracy")
    accuracy = accuracy.assign(**{name: 100 * accuracy[name] for name in ("value", "low", "high")})
    rows = pd.concat([accuracy, spectra])
    return noise_series(rows[rows["noise_kind"] != UNTRAINED])
