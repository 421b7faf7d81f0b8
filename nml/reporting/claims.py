"""What the study says about each claim of the papers: estimate, interval and verdict, computed from the cells."""

from typing import Any

import pandas as pd

from nml.grid import RELEASED, UNTRAINED
from nml.reporting.contrasts import comparable
from nml.reporting.differences import holm
from nml.reporting.evidence import CLAIMS, about_aspects, about_nmtune, about_noise, about_spectra
from nml.reporting.findings import SIGNIFICANT
from nml.reporting.labels import HEADLINE_METRIC, MAJORITY
from nml.reporting.sampling import Covariances
from nml.reporting.schema import CELL_NAME

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
COLUMNS = {
    **{"claim": "str", "level": "str", "part": "str", "statement": "str", "measure": "str"},
    **dict.fromkeys(("estimate", "low", "high", "p", "p_holm"), "float64"),
    **{"cells": "int64", "pretrain_seeds": "int64", "verdict": "str", "missing": "str"},
}


def claims_table(
    cells: pd.DataFrame,
    points: pd.DataFrame,
    pretraining: pd.DataFrame,
    covariances: Covariances,
    absent: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Judge each claim by accuracy with all of the training data; docs/decisions.md says what each estimate is.

    **The verdict of a part.** `supported` if the 95 % interval is on the side that the claim says and p, corrected by
    Holm over the parts of the claim, is below 0.05; `contradicted` if so on the other side; else `undecided`. A part
    about several conditions at once ("any noise", "whatever the corpus") shows the one that speaks least for it:
    supported only if every one of them is, so with the largest p of all; contradicted if one is, with its p multiplied
    by their number, as is that of a recipe whose sign opposes the others' (C3). Claims about noise need two
    pre-training seeds at least. Where the matrix lacks what a part needs it is undecided, with 0 cells, and `missing`
    says what. Where cells of a part are absent, it is never supported, for those might speak against it; it may be
    contradicted.

    **The verdict of a claim.** Contradicted if a part is, supported if all parts are, else undecided; its numbers are
    those of the part that decides: of several that contradict, the one with the smallest p, else with the largest.

    Released encoders count for no claim: how noisy their data was is not known.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    points
        Rows of `nml.reporting.associations.spectrum_points`.
    pretraining
        Rows of `nml.reporting.encoders.pretraining_table`.
    covariances
        `nml.reporting.sampling.Covariances` of the same cells.
    absent
        `nml.reporting.matrix.absent_of` the matrix, for those that `missing` counts.

    Returns
    -------
    DataFrame with `COLUMNS`, in the order of the claims. `level`: `claim`, `part` (of the claim), or `family` (the same
    for one corpus, recipe and noise kind). `measure`: `difference` (of accuracies, fractions) or `Spearman`. `cells`
    counts those behind the estimate.
    """
    rows = cells[(cells["metric"] == HEADLINE_METRIC) & (cells["noise_kind"] != RELEASED)]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    trained = pretraining.dropna(subset=["objective"]).drop_duplicates(["corpus", "recipe"])
    models = trained.set_index(["corpus", "recipe"])[["architecture", "objective"]]
    rows = comparable(rows).join(models, on=["corpus", "recipe"])
    lost = _lost(pd.DataFrame(columns=[*CELL_NAME, "group"]) if absent is None else absent)
    noise, nmtune = about_noise(rows, covariances, lost), about_nmtune(rows, covariances, lost)
    table = [*noise, *about_spectra(points, rows, lost), *nmtune, *about_aspects(rows, covariances, lost)]
    frame = pd.DataFrame(table).sort_values("claim", kind="stable", ignore_index=True)
    return _judged(frame)


def _lost(absent: pd.DataFrame) -> pd.DataFrame:
    """Return the absent cells that a claim may be about: without controls and released encoders, as the others."""
    left_out = absent["noise_kind"].isin([UNTRAINED, RELEASED]) | (absent["method"] == MAJORITY)
    return absent[~left_out].astype({"noise_percent": "float64"})


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Correct p, decide each row, and put the row of the claim itself before its parts."""
    table["p_holm"] = table.groupby(["claim", "level"])["p"].transform(holm)
    clear = table["side"].where(table["p_holm"] < SIGNIFICANT, 0)
    # The claim is about all of its cells, and those that are absent may be the ones that speak against it.
    clear = clear.where((clear <= 0) | (table["missing"] == ""), 0)
    table["verdict"] = clear.map({1: SUPPORTED, -1: CONTRADICTED, 0: UNDECIDED})
    rows = []
    for claim in CLAIMS:
        own = table[table["claim"] == claim]
        rows += [_deciding(own[own["level"] == "part"]), *own.to_dict("records")]
    return pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)


def _deciding(parts: pd.DataFrame) -> dict[str, Any]:
    """Return the row of the claim: that of the part that decides."""
    order = {CONTRADICTED: 0, UNDECIDED: 1, SUPPORTED: 2}
    p, empty = parts["p_holm"].fillna(2), parts["cells"] == 0
    # Of several that contradict the surest, else the least sure.
    place = p.where(parts["verdict"] == CONTRADICTED, -p)
    ranked = parts.assign(order=parts["verdict"].map(order), empty=empty, place=place)
    chosen = ranked.sort_values(["order", "empty", "place"], kind="stable").iloc[0].to_dict()
    absent = dict.fromkeys(filter(None, parts["missing"]))
    return chosen | {"level": "claim", "missing": "; ".join(absent)}
