"""What the study says about each claim of the papers: estimate, interval and verdict, computed from the cells."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nml.grid import CLEAN, RELEASED, UNTRAINED
from nml.reporting.associations import PAIRS, within_task_spearman
from nml.reporting.contrasts import against_clean, against_method, cells_behind, comparable, estimate
from nml.reporting.differences import holm
from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC, MAJORITY, method_label
from nml.reporting.reading import CELL_NAME
from nml.reporting.sampling import Covariances

SLIGHT_PERCENT = 10
"""The highest noise ratio that the papers call slight."""
SIGNIFICANT = 0.05
_FEWEST_SEEDS = 2
_GROUP_OF = {"C1": "id", "C2": "ood"}
_FAMILY = ["corpus", "recipe", "noise_kind"]
_BLACK_BOX = (("nmtune", "lp"), ("nmtune", "mlp"))
_EFFICIENT = (("ft-nmtune", "ft"), ("lora-nmtune", "lora"))
_ASPECTS = {
    "corpora": "corpus",
    "noise kinds": "noise_kind",
    "architectures": "architecture",
    "objectives": "objective",
    "tuning methods": "method",
}
_SIGN_OF_LSVR = 0
"""Sources differ on the sign that the papers expect; see docs/decisions.md."""

CLAIMS = {
    "C1": f"Slight pre-training noise (up to {SLIGHT_PERCENT} %) helps in-domain transfer.",
    "C2": "Any pre-training noise hurts out-of-domain transfer.",
    "C3": "The spectrum of the features explains it: SVE goes with ID accuracy, LSVR with OOD accuracy.",
    "C4": "NMTune improves ID and OOD accuracy of noisy encoders, in black-box and in parameter-efficient form.",
    "C5": "C1 and C2 hold whatever the corpus, noise kind, architecture, objective and tuning method.",
}
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
COLUMNS = {
    **{"claim": "str", "level": "str", "part": "str", "statement": "str", "measure": "str"},
    **dict.fromkeys(("estimate", "low", "high", "p", "p_holm"), "float64"),
    **{"cells": "int64", "pretrain_seeds": "int64", "verdict": "str", "missing": "str"},
}


class Found(NamedTuple):
    """One number that speaks for or against a claim; `sign` is what the claim expects, 0 for either."""

    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    cells: int = 0
    pretrain_seeds: int = 0
    sign: int = 0

    def side(self) -> int:
        """Return 1 if the whole interval is where the claim expects it, -1 if it is opposite, else 0."""
        sign = self.sign or np.sign(self.estimate)
        return int(sign * self.low > 0 and sign * self.high > 0) - int(sign * self.low < 0 and sign * self.high < 0)


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
    about several conditions at once ("any noise", "whatever the corpus") is decided by the one that speaks least for
    it: supported only if every one of them is; contradicted if one is, with its p multiplied by their number. Claims
    about noise need two pre-training seeds at least. Where the matrix lacks what a part needs it is undecided, with 0
    cells, and `missing` says what. Where cells of a part are absent, it is never supported, for those might speak
    against it; it may be contradicted.

    **The verdict of a claim.** Contradicted if a part is, supported if all parts are, else undecided; its numbers are
    those of the part that decides.

    Parameters
    ----------
    cells
        Rows of `nml.reporting.reading.read_cells`.
    points
        Rows of `nml.reporting.associations.spectrum_points`.
    pretraining
        Rows of `nml.reporting.encoders.pretraining_table`.
    covariances
        `nml.reporting.sampling.sampling_covariances` of the same cells.
    absent
        `nml.reporting.matrix.absent_of` the matrix, for those that `missing` counts.

    Returns
    -------
    DataFrame with `COLUMNS`, in the order of the claims. `level`: `claim`, `part` (of the claim), or `family` (the same
    for one corpus, recipe and noise kind). `measure`: `difference` (of accuracies, fractions) or `Spearman`. `cells`
    counts those behind the estimate. Released encoders speak for no claim: how noisy their data was is not known.
    """
    rows = cells[(cells["metric"] == HEADLINE_METRIC) & (cells["fraction"] == cells["fraction"].max())]
    trained = pretraining.dropna(subset=["objective"]).drop_duplicates(["corpus", "recipe"])
    models = trained.set_index(["corpus", "recipe"])[["architecture", "objective"]]
    rows = comparable(rows[rows["noise_kind"] != RELEASED]).join(models, on=["corpus", "recipe"])
    lost = _lost(pd.DataFrame(columns=[*CELL_NAME, "group"]) if absent is None else absent)
    noise, nmtune = _about_noise(rows, covariances, lost), _about_nmtune(rows, covariances, lost)
    table = [*noise, *_about_spectra(points, rows, lost), *nmtune, *_about_aspects(rows, covariances, lost)]
    frame = pd.DataFrame(table).sort_values("claim", kind="stable", ignore_index=True)
    return _judged(frame)


def _lost(absent: pd.DataFrame) -> pd.DataFrame:
    """Return the absent cells that a claim may be about: without both controls and the released encoders."""
    others = absent["noise_kind"].isin([UNTRAINED, RELEASED]) | (absent["method"] == MAJORITY)
    return absent[~others].astype({"noise_percent": "float64"})


def _about_noise(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for claim, group in _GROUP_OF.items():
        part, chosen, gone = group.upper(), *(_of_noise_claim(_probes(frame), claim) for frame in (rows, lost))
        pairs = against_clean(chosen)
        lack = _absent_cells(chosen, gone) if len(pairs) else _lack_of_noise(part)
        yield _row(claim, "part", part, _noise_found(claim, pairs, covariances), lack)
        for family, own in pairs.groupby(_FAMILY):
            lack = _absent_cells(*(_of_family(frame, *family) for frame in (chosen, gone)))
            yield _row(claim, "family", "/".join(family), _noise_found(claim, own, covariances), lack)


def _probes(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == "lp"]


def _of_noise_claim(rows: pd.DataFrame, claim: str) -> pd.DataFrame:
    """Return the rows, clean ones too, that C1 or C2 is about."""
    chosen = rows[rows["group"] == _GROUP_OF[claim]]
    return chosen[chosen["noise_percent"] <= SLIGHT_PERCENT] if claim == "C1" else chosen


def _of_family(rows: pd.DataFrame, corpus: str, recipe: str, noise_kind: str) -> pd.DataFrame:
    """Return the rows of a family, and the clean ones that it is compared with."""
    kinds = rows["noise_kind"].isin([noise_kind, CLEAN])
    return rows[(rows["corpus"] == corpus) & (rows["recipe"] == recipe) & kinds]


def _noise_found(claim: str, pairs: pd.DataFrame, covariances: Covariances) -> Found:
    """C1: the mean over the slight ratios. C2: the ratio that speaks least for it."""
    if claim == "C1":
        levels = [*_FAMILY, "noise_percent"]
        return _weakest(_difference(pairs.assign(everything=""), ["everything"], covariances, levels), 1)
    return _weakest(_difference(pairs, ["noise_percent"], covariances, _FAMILY), -1)


def _about_spectra(points: pd.DataFrame, rows: pd.DataFrame, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for (group, quantity), sign in zip(PAIRS, (1, _SIGN_OF_LSVR), strict=True):
        chosen, there, gone = (frame[frame["group"] == group] for frame in (points, _probes(rows), _probes(lost)))
        part = f"{quantity.upper()}, {group.upper()}"
        families = {name: _associated(own, quantity, sign) for name, own in chosen.groupby(_FAMILY[:2])}
        together = _associated(chosen, quantity, sign)
        none = f"three encoders with linear probing on the same {group.upper()} test sets"
        lack = _absent_cells(there, gone) if together.cells else none
        yield _row("C3", "part", part, _one_sign(together, list(families.values())), lack, "Spearman")
        for (corpus, recipe), found in families.items():
            own = [frame[(frame["corpus"] == corpus) & (frame["recipe"] == recipe)] for frame in (there, gone)]
            lack = _absent_cells(*own) if found.cells else none
            yield _row("C3", "family", f"{part}: {corpus}/{recipe}", found, lack, "Spearman")


def _associated(points: pd.DataFrame, quantity: str, sign: int) -> Found:
    found = within_task_spearman(points, quantity, "accuracy")
    if np.isnan(found.spearman):
        return Found(sign=sign)
    seeds = points.groupby(["corpus", "recipe"])["pretrain_seed"].nunique().min()
    cells = len(points.drop_duplicates(["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed", "task"]))
    return Found(found.spearman, found.low, found.high, found.p, cells, int(seeds), sign)


def _one_sign(together: Found, families: list[Found]) -> Found:
    """Where the sign is open, two recipes with opposite ones contradict: show the one that opposes the whole."""
    if together.sign:
        return together
    clear = [found for found in families if found.side() > 0 and found.p * len(families) < SIGNIFICANT]
    against = [found for found in clear if found.estimate * together.estimate < 0]
    if against and len({np.sign(found.estimate) for found in clear}) > 1:
        return against[0]._replace(sign=int(np.sign(together.estimate)))
    return together


def _about_nmtune(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    noisy, gone = (frame[frame["noise_percent"] > 0] for frame in (rows, lost))
    for (method, baseline), group in product([*_BLACK_BOX, *_EFFICIENT], HEADLINE_GROUPS):
        pairs = against_method(noisy[noisy["group"] == group], method, baseline)
        levels = [*_FAMILY, "noise_percent"]
        found = _weakest(_difference(pairs.assign(everything=""), ["everything"], covariances, levels), 1)
        form = "black-box" if (method, baseline) in _BLACK_BOX else "parameter-efficient"
        part = f"{form}, {group.upper()}: {method_label(method)} minus {method_label(baseline)}"
        own = [frame[frame["method"].isin([method, baseline]) & (frame["group"] == group)] for frame in (noisy, gone)]
        lack = _absent_cells(*own) if found.cells else _lack_of_methods(noisy, {method, baseline}, group)
        yield _row("C4", "part", part, found, lack)


def _about_aspects(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for (name, column), claim in product(_ASPECTS.items(), _GROUP_OF):
        frames = (rows, lost) if column == "method" else (_probes(rows), _probes(lost))
        chosen, gone = (_of_noise_claim(frame, claim) for frame in frames)
        pairs = against_clean(chosen.dropna(subset=[column]))
        values = sorted(set(pairs[column])) if len(pairs) else []
        part = f"{claim} for all {name} ({', '.join(map(str, values)) or 'none'})"
        if len(values) < 2:
            yield _row("C5", "part", part, Found(), f"two or more {name}")
            continue
        levels = [*_FAMILY, "noise_percent"] if claim == "C1" else _FAMILY
        key = [column] if claim == "C1" else [column, "noise_percent"]
        found = _weakest(_difference(pairs, key, covariances, levels), 1 if claim == "C1" else -1)
        yield _row("C5", "part", part, found, _absent_cells(chosen, gone))


def _difference(
    pairs: pd.DataFrame, key: Sequence[str], covariances: Covariances, levels: Sequence[str]
) -> pd.DataFrame:
    table = estimate(pairs, key, covariances, [name for name in levels if name not in key])
    # Conditions share clean encoders.
    return table.assign(cells=cells_behind(pairs)) if len(pairs) else table


def _weakest(table: pd.DataFrame, sign: int) -> Found:
    """Return the condition that speaks least for the claim; see `claims_table`."""
    if table.empty:
        return Found(sign=sign)
    conditions = [
        Found(row.difference, row.low, row.high, row.p, row.cells, row.pretrain_seeds, sign)
        for row in table.itertuples()
    ]
    seeds = min(found.pretrain_seeds for found in conditions)
    # Against the claim one of several conditions is enough, which chance offers more often.
    against = [found._replace(p=min(1.0, found.p * len(conditions))) for found in conditions if found.side() < 0]
    if against:
        chosen = min(against, key=lambda found: found.p)
    else:
        chosen = min(conditions, key=lambda found: found.low if sign > 0 else -found.high)
    return chosen._replace(pretrain_seeds=seeds)


def _row(claim: str, level: str, part: str, found: Found, missing: str, measure: str = "difference") -> dict[str, Any]:
    seeds_needed = claim in ("C1", "C2", "C5") and found.cells and found.pretrain_seeds < _FEWEST_SEEDS
    lacks = [missing] * bool(missing) + [f"{_FEWEST_SEEDS} pre-training seeds or more"] * bool(seeds_needed)
    values = found._asdict() | {"side": 0 if seeds_needed else found.side()}
    del values["sign"]
    words = {"claim": claim, "level": level, "part": part, "statement": CLAIMS[claim], "measure": measure}
    return {**words, **values, "missing": "; ".join(lacks)}


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
    ranked = parts.assign(
        order=parts["verdict"].map(order), empty=parts["cells"] == 0, doubt=-parts["p_holm"].fillna(2)
    )
    chosen = ranked.sort_values(["order", "empty", "doubt"], kind="stable").iloc[0].to_dict()
    absent = dict.fromkeys(filter(None, parts["missing"]))
    return chosen | {"level": "claim", "missing": "; ".join(absent)}


def _lack_of_noise(part: str) -> str:
    slight = f" up to {SLIGHT_PERCENT} %" if part == "ID" else ""
    return f"linear probing on {part} tasks with a clean encoder and one with noise{slight} of the same recipe and seed"


def _lack_of_methods(rows: pd.DataFrame, methods: set[str], group: str) -> str:
    absent = sorted(methods - set(rows["method"]))
    where = "" if absent else f" on the same {group.upper()} tasks and noisy encoders"
    return f"cells of {' and '.join(absent or sorted(methods))}{where}"


def _absent_cells(rows: pd.DataFrame, lost: pd.DataFrame) -> str:
    """Say how many cells the matrix lacks; where less is known of it, the product of encoders, tasks and methods.

    Of the rows that are there and of the lost cells the same were chosen, of one group.
    """
    there = rows.drop_duplicates(CELL_NAME)
    product_of_all = len(there.drop_duplicates(CELL_NAME[:5])) * there["task"].nunique() * there["method"].nunique()
    absent = max(product_of_all - len(there), len(lost.drop_duplicates(CELL_NAME)))
    return f"{absent} of {absent + len(there)} cells" if absent else ""
