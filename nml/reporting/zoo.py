"""The released encoders, a row each: what tuning makes of them, how their spectra look, and what NMTune gains."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from nml.artifacts import read_json
from nml.grid import ZOO, Encoder
from nml.reporting.averages import add_unit
from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC

GAINS = (("nmtune", "lp"), ("nmtune", "mlp"))
"""Pairs of a method and the one that it is compared with."""
ABOUT = ["model", "architecture", "weights"]
_INTERVAL = ["value", "low", "high"]
_SCORE = [*_INTERVAL, "tasks", "missing"]
_GAIN = ["difference", "low", "high", "p_holm", "missing"]
_SPECTRUM = ["sve", "lsvr", "spectra"]


def zoo_table(
    averages: pd.DataFrame, differences: pd.DataFrame, spectra: pd.DataFrame, metas: Sequence[str | Path]
) -> pd.DataFrame:
    """Return one row for each released encoder, by accuracy with all of the training data.

    Parameters
    ----------
    averages
        The table of this name, with `missing`.
    differences
        The table of this name, with `missing`.
    spectra
        Rows of `nml.reporting.reading.read_spectra`.
    metas
        `results/encoders/<address>/meta.json` of the encoders that are here, others than released ones too.

    Returns
    -------
    DataFrame with `model, architecture, weights` (the tag, or the name of the file), and for each group g of ID and
    OOD, as far as there are cells: `g_<method>_value, _low, _high` (fractions, 95 %), `_tasks` (units averaged) and
    `_missing` (cells); `g_sve, g_lsvr` (nats, means over units) with their number `g_spectra`; and for each of `GAINS`
    `g_<method>-<baseline>_difference, _low, _high, _p_holm, _missing`. Sorted by model. No rows without such encoders.
    """
    scores = _released(_headline(averages))
    gains = _released(_headline(differences[differences["comparison"] == "method"]))
    gains = gains.assign(name=gains["method"] + "-" + gains["baseline"])
    gains = gains[gains["name"].isin([f"{method}-{baseline}" for method, baseline in GAINS])]
    parts = [
        _wide(scores.assign(name=scores["method"]), _SCORE),
        _wide(_spectra(_released(spectra)), _SPECTRUM),
        _wide(gains, _GAIN),
    ]
    table = _about(metas, sorted({model for part in parts for model in part.index}))
    for part in parts:
        table = table.join(part, on="model")
    return table[[*ABOUT, *_ordered(name for name in table if name not in ABOUT)]]


def _released(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["corpus"] == ZOO) & rows["group"].isin(HEADLINE_GROUPS)]


def _headline(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["metric"] == HEADLINE_METRIC]
    return rows[rows["fraction"] == rows["fraction"].max()]


def _spectra(spectra: pd.DataFrame) -> pd.DataFrame:
    """Average over the units of a group: the tasks, or in the group `ood` the test domains."""
    units = add_unit(spectra).groupby(["recipe", "group", "unit"])[["sve", "lsvr"]].mean()
    groups = units.groupby(["recipe", "group"])
    return groups.agg(sve=("sve", "mean"), lsvr=("lsvr", "mean"), spectra=("sve", "size")).reset_index().assign(name="")


def _wide(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Return a row for each model, and a column for each group, name and value, such as `id_lp_value`."""
    table = rows.pivot(index="recipe", columns=["group", "name"], values=values).astype("float64")
    table.columns = ["_".join(filter(None, (group, name, value))) for value, group, name in table.columns]
    return table


def _ordered(columns: Iterable[str]) -> list[str]:
    return sorted(columns, key=lambda name: not name.startswith(f"{HEADLINE_GROUPS[0]}_"))


def _about(metas: Sequence[str | Path], models: list[str]) -> pd.DataFrame:
    """Return what the models are, as far as their metadata are here."""
    found = {}
    for meta in map(read_json, metas):
        encoder = Encoder.parse(meta["address"])
        if encoder.corpus == ZOO:
            weights = meta.get("weights", {})
            found[encoder.recipe] = (meta.get("architecture", ""), weights.get("tag") or weights.get("file", ""))
    rows = [(model, *found.get(model, ("", ""))) for model in models]
    return pd.DataFrame(rows, columns=ABOUT).astype("str")
