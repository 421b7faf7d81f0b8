"""Averages over tasks: one row for each noise, groups and methods side by side."""

import pandas as pd

from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC, MAJORITY, method_label, method_rank
from nml.reporting.layout.noise_column import named_noise
from nml.reporting.layout.texts import ABSENT, interval
from nml.reporting.series import sort_rows


def show_averages(averages: pd.DataFrame) -> pd.DataFrame:
    """Pivot to one row per metric, recipe and noise, and one column per group and method, as `81.2 ± 0.6` in percent.

    The majority class uses no encoder, so it takes one row per recipe, under the first method of each group. A dagger
    marks an average over fewer tasks than another in its column's group, or one that lacks cells; one that lacks all of
    them is `missing`.
    """
    chosen = averages[averages["group"].isin(HEADLINE_GROUPS)]
    chosen = chosen[chosen["fraction"] == chosen["fraction"].max()]
    if chosen.empty:
        return pd.DataFrame(columns=["metric", "recipe", "noise"])
    chosen = chosen.assign(text=[interval(*row) for row in _average_numbers(chosen)])
    rows = _majority_once(chosen)
    columns = sorted(
        set(zip(rows["group"], rows["method"], strict=True)),
        key=lambda pair: (HEADLINE_GROUPS.index(pair[0]), method_rank(pair[1])),
    )
    index = ["metric", "corpus", "recipe", "noise_kind", "noise_percent"]
    table = rows.pivot(index=index, columns=["group", "method"], values="text")[columns].fillna("")
    table.columns = [f"{group.upper()} {method_label(method)}" for group, method in columns]
    return named_noise(table.reset_index())


def show_headline(averages: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `show_averages` for accuracy, without repeating a recipe from line to line."""
    table = show_averages(averages[averages["metric"] == HEADLINE_METRIC]).drop(columns="metric")
    return table.assign(recipe=table["recipe"].mask(table["recipe"] == table["recipe"].shift(), ""))


def show_fractions(fractions: pd.DataFrame) -> pd.DataFrame:
    """Pivot to one row per recipe, noise, group and method, and one column per percent of the training data."""
    rows = fractions[fractions["method"] != MAJORITY]
    if rows.empty:
        return pd.DataFrame(columns=["recipe", "noise", "group", "method"])
    numbers = zip(rows["value"], rows["low"], rows["high"], rows["missing"] > 0, strict=True)
    rows = rows.assign(text=[interval(*row) for row in numbers])
    index = ["corpus", "recipe", "noise_kind", "noise_percent", "group", "method"]
    table = rows.pivot(index=index, columns="fraction", values="text").fillna(ABSENT)
    table.columns = [f"{fraction} %" for fraction in table.columns]
    table = sort_rows(
        table.reset_index(), lambda row: (HEADLINE_GROUPS.index(row["group"]), method_rank(row["method"]))
    )
    table = table.assign(group=table["group"].str.upper(), method=table["method"].map(method_label))
    return named_noise(table)


def _average_numbers(frame: pd.DataFrame) -> zip:
    most = frame.groupby(["group", "metric"])["tasks"].transform("max")
    partial = frame["tasks"] < most
    if "missing" in frame:
        partial |= frame["missing"] > 0
    return zip(frame["value"], frame["low"], frame["high"], partial, strict=True)


def _majority_once(rows: pd.DataFrame) -> pd.DataFrame:
    majority = rows["method"] == MAJORITY
    tuned = rows[~majority]
    first = min(tuned["method"], key=method_rank) if len(tuned) else MAJORITY
    once = rows[majority & rows["value"].notna()].drop_duplicates(["metric", "recipe", "group"])
    once = once.assign(corpus="", noise_kind=MAJORITY, noise_percent=0.0, method=first)
    return pd.concat([tuned, once])
