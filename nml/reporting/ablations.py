"""Variants of a tuning method beside the method itself: what each change of its hyper-parameters does."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from nml.reporting.contrasts import against_method, comparable, estimate
from nml.reporting.differences import holm
from nml.reporting.labels import HEADLINE_METRIC
from nml.reporting.metadata import metadata_of
from nml.reporting.reading import no_rows
from nml.reporting.sampling import Covariances

_KEY = ["corpus", "recipe", "group"]
_FOUND = ["difference", "low", "high", "p", "units", "improved", "cells", "pretrain_seeds", "tuning_seeds"]
COLUMNS = [*_KEY, "method", "variant", "changed", "value", *_FOUND, "p_holm"]


class Entry(NamedTuple):
    """What an entry of a configuration's `methods` is a variant of, and its hyper-parameters."""

    method: str
    hyperparameters: Mapping[str, Any]


def method_entries(cell_files: Sequence[str | Path]) -> dict[str, Entry]:
    """Return the entries by name, from `<method>.meta.json` beside one cell of each.

    Raises
    ------
    UserError
        A metadata file is not there, or cannot be read.
    """
    one_of_each = {Path(file).stem: Path(file) for file in sorted(map(str, cell_files))}
    return {name: _entry(cell) for name, cell in sorted(one_of_each.items())}


def ablations_table(
    cells: pd.DataFrame, covariances: Covariances, entries: Mapping[str, Entry], absent: Iterable[str] = ()
) -> pd.DataFrame:
    """Compare each variant with the entry that bears the method's own name, or else with the method's first variant.

    Accuracy with all of the training data, over the trained encoders of a recipe, each noise alike; pairs share
    encoder, test samples and seed, as in `nml.reporting.contrasts.estimate`. `p_holm` is corrected by Holm (1979)
    within a recipe, a group and a method. The variants of a method whose own entry is one of `absent`, entries of which
    cells are absent, and has no cells at all are not compared: what they are compared with would change once it has.

    Returns
    -------
    DataFrame with `COLUMNS`; sorted. `changed`: the hyper-parameters that differ, as JSON; `value`: the mean accuracy
    of the variant.
    """
    rows = comparable(cells[cells["metric"] == HEADLINE_METRIC])
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    parts = [_compared(rows, covariances, *pair, entries) for pair in _pairs(entries, set(absent))]
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_rows(COLUMNS).astype(dict.fromkeys(("method", "variant", "changed"), "str"))
    table = pd.concat(parts, ignore_index=True)
    table["p_holm"] = table.groupby([*_KEY, "method"])["p"].transform(holm)
    return table[COLUMNS].sort_values([*_KEY, "method", "variant"], ignore_index=True)


def _pairs(entries: Mapping[str, Entry], absent: Set[str]) -> list[tuple[str, str]]:
    """Return each variant with what it is compared with, but none of a method whose own entry has no cells yet."""
    methods: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if entry.method in entries or entry.method not in absent:
            methods.setdefault(entry.method, []).append(name)
    baselines = {method: method if method in names else names[0] for method, names in methods.items()}
    return [
        (name, baselines[method]) for method, names in methods.items() for name in names if name != baselines[method]
    ]


def _compared(
    rows: pd.DataFrame, covariances: Covariances, variant: str, baseline: str, entries: Mapping[str, Entry]
) -> pd.DataFrame:
    pairs, levels = against_method(rows, variant, baseline), ["noise_kind", "noise_percent"]
    found = estimate(pairs, _KEY, covariances, levels)
    values = estimate(pairs.assign(change=pairs["value"]), _KEY, covariances, levels)["difference"]
    own, other = (entries[name].hyperparameters for name in (variant, baseline))
    changed = {name: value for name, value in own.items() if other.get(name) != value}
    named = {"method": baseline, "variant": variant, "changed": json.dumps(changed)}
    return found.assign(**named, value=values).reset_index()


def _entry(cell: Path) -> Entry:
    with metadata_of(cell) as meta:
        return Entry(meta.get("method") or cell.stem, dict(meta.get("hyperparameters") or {}))
