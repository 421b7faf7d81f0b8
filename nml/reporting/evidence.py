"""What the cells say about each part of each claim."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas as pd

from nml.grid import CLEAN
from nml.reporting.associations import PAIRS
from nml.reporting.contrasts import against_clean, against_method
from nml.reporting.findings import FAMILY, Found, associated, difference, one_sign, weakest
from nml.reporting.labels import HEADLINE_GROUPS, method_label
from nml.reporting.lacks import absent_cells, lack_of_methods
from nml.reporting.sampling import Covariances

SLIGHT_PERCENT = 10
"""The highest noise ratio that the papers call slight."""
_FEWEST_SEEDS = 2
_GROUP_OF = {"C1": "id", "C2": "ood"}
_RELEASED = "released"
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


def about_noise(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Yield the parts and families of C1 and C2; `lost` are the absent cells."""
    for claim, group in _GROUP_OF.items():
        part, chosen, gone = group.upper(), *(_of_noise_claim(_probes(frame), claim) for frame in (rows, lost))
        pairs = against_clean(chosen)
        lack = absent_cells(chosen, gone) if len(pairs) else _lack_of_noise(part)
        yield _row(claim, "part", part, _noise_found(claim, pairs, covariances), lack)
        for family, own in pairs.groupby(FAMILY):
            lack = absent_cells(*(_of_family(frame, *family) for frame in (chosen, gone)))
            yield _row(claim, "family", "/".join(family), _noise_found(claim, own, covariances), lack)


def _probes(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == "lp"]


def _of_noise_claim(rows: pd.DataFrame, claim: str) -> pd.DataFrame:
    """Return the rows, clean ones too, that C1 or C2 is about."""
    chosen = rows[(rows["group"] == _GROUP_OF[claim]) & (rows["noise_kind"] != _RELEASED)]
    return chosen[chosen["noise_percent"] <= SLIGHT_PERCENT] if claim == "C1" else chosen


def _of_family(rows: pd.DataFrame, corpus: str, recipe: str, noise_kind: str) -> pd.DataFrame:
    """Return the rows of a family, and the clean ones that it is compared with."""
    kinds = rows["noise_kind"].isin([noise_kind, CLEAN])
    return rows[(rows["corpus"] == corpus) & (rows["recipe"] == recipe) & kinds]


def _noise_found(claim: str, pairs: pd.DataFrame, covariances: Covariances) -> Found:
    """C1: the mean over the slight ratios. C2: the ratio that speaks least for it."""
    if claim == "C1":
        levels = [*FAMILY, "noise_percent"]
        return weakest(difference(pairs.assign(everything=""), ["everything"], covariances, levels), 1)
    return weakest(difference(pairs, ["noise_percent"], covariances, FAMILY), -1)


def _lack_of_noise(part: str) -> str:
    slight = f" up to {SLIGHT_PERCENT} %" if part == "ID" else ""
    return f"linear probing on {part} tasks with a clean encoder and one with noise{slight} of the same recipe and seed"


def about_spectra(points: pd.DataFrame, rows: pd.DataFrame, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Yield the parts and families of C3; `points` are rows of `spectrum_points`."""
    for (group, quantity), sign in zip(PAIRS, (1, _SIGN_OF_LSVR), strict=True):
        chosen, there, gone = (frame[frame["group"] == group] for frame in (points, _probes(rows), _probes(lost)))
        part = f"{quantity.upper()}, {group.upper()}"
        families = {name: associated(own, quantity, sign) for name, own in chosen.groupby(FAMILY[:2])}
        together = associated(chosen, quantity, sign)
        none = f"three encoders with linear probing on the same {group.upper()} test sets"
        lack = absent_cells(there, gone) if together.cells else none
        yield _row("C3", "part", part, one_sign(together, list(families.values())), lack, "Spearman")
        for (corpus, recipe), found in families.items():
            own = [frame[(frame["corpus"] == corpus) & (frame["recipe"] == recipe)] for frame in (there, gone)]
            lack = absent_cells(*own) if found.cells else none
            yield _row("C3", "family", f"{part}: {corpus}/{recipe}", found, lack, "Spearman")


def about_nmtune(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Yield the parts of C4."""
    noisy, gone = (frame[(frame["noise_percent"] > 0) | (frame["noise_kind"] == _RELEASED)] for frame in (rows, lost))
    for (method, baseline), group in product([*_BLACK_BOX, *_EFFICIENT], HEADLINE_GROUPS):
        pairs = against_method(noisy[noisy["group"] == group], method, baseline)
        levels = [*FAMILY, "noise_percent"]
        found = weakest(difference(pairs.assign(everything=""), ["everything"], covariances, levels), 1)
        form = "black-box" if (method, baseline) in _BLACK_BOX else "parameter-efficient"
        part = f"{form}, {group.upper()}: {method_label(method)} minus {method_label(baseline)}"
        own = [frame[frame["method"].isin([method, baseline]) & (frame["group"] == group)] for frame in (noisy, gone)]
        lack = absent_cells(*own) if found.cells else lack_of_methods(noisy, {method, baseline}, group)
        yield _row("C4", "part", part, found, lack)


def about_aspects(rows: pd.DataFrame, covariances: Covariances, lost: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Yield the parts of C5."""
    for (name, column), claim in product(_ASPECTS.items(), _GROUP_OF):
        frames = (rows, lost) if column == "method" else (_probes(rows), _probes(lost))
        chosen, gone = (_of_noise_claim(frame, claim) for frame in frames)
        pairs = against_clean(chosen.dropna(subset=[column]))
        values = sorted(set(pairs[column])) if len(pairs) else []
        part = f"{claim} for all {name} ({', '.join(map(str, values)) or 'none'})"
        if len(values) < 2:
            yield _row("C5", "part", part, Found(), f"two or more {name}")
            continue
        levels = [*FAMILY, "noise_percent"] if claim == "C1" else FAMILY
        key = [column] if claim == "C1" else [column, "noise_percent"]
        found = weakest(difference(pairs, key, covariances, levels), 1 if claim == "C1" else -1)
        yield _row("C5", "part", part, found, absent_cells(chosen, gone))


def _row(claim: str, level: str, part: str, found: Found, missing: str, measure: str = "difference") -> dict[str, Any]:
    seeds_needed = claim in ("C1", "C2", "C5") and found.cells and found.pretrain_seeds < _FEWEST_SEEDS
    lacks = [missing] * bool(missing) + [f"{_FEWEST_SEEDS} pre-training seeds or more"] * bool(seeds_needed)
    values = found._asdict() | {"side": 0 if seeds_needed else found.side()}
    del values["sign"]
    words = {"claim": claim, "level": level, "part": part, "statement": CLAIMS[claim], "measure": measure}
    return {**words, **values, "missing": "; ".join(lacks)}
