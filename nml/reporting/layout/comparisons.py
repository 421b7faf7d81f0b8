"""Differences, ranks, ablations, and ours beside the published values."""

from typing import Any

import pandas as pd

from nml.reporting.labels import HEADLINE_GROUPS, HEADLINE_METRIC, method_label, method_rank, noise_label, noise_rank
from nml.reporting.layout.noise_column import without_single_corpus
from nml.reporting.layout.texts import ABSENT, DAGGER, p_text, signed_interval
from nml.reporting.series import sort_rows


def show_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """Write the differences in accuracy, in points, to one row per comparison and ID beside OOD.

    `p` is the corrected one; `improved` counts the units that gained.
    """
    rows = differences[differences["metric"] == HEADLINE_METRIC]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    index = ["comparison", "recipe", "corpus", "noise_kind", "noise_percent", "method", "baseline"]
    table = rows[index].drop_duplicates()
    for group in (group for group in HEADLINE_GROUPS if group in set(rows["group"])):
        texts = rows[rows["group"] == group][index].assign(**_difference_texts(rows[rows["group"] == group], group))
        table = table.merge(texts, on=index, how="left")
    table = sort_rows(table.fillna(ABSENT), _comparison_position)
    noise = [noise_label(*pair) for pair in zip(table["noise_kind"], table["noise_percent"], strict=True)]
    table = table.assign(noise=noise, method=table["method"].map(method_label))
    table["minus"] = table["baseline"].map(method_label)
    front = ["corpus", "recipe", "noise", "method", "minus"]
    rest = [name for name in table if name not in (*front, *index)]
    return without_single_corpus(table[front + rest])


def _difference_texts(rows: pd.DataFrame, group: str) -> dict[str, list[str]]:
    numbers = zip(rows["difference"], rows["low"], rows["high"], rows["missing"], strict=True)
    return {
        f"{group.upper()} difference": [signed_interval(*row) + DAGGER * (lacks > 0) for *row, lacks in numbers],
        f"{group.upper()} p": [p_text(p) for p in rows["p_holm"]],
        f"{group.upper()} d": [ABSENT if pd.isna(d) else f"{d:+.1f}" for d in rows["effect"]],
        f"{group.upper()} improved": [
            f"{improved} of {units}" for improved, units in zip(rows["improved"], rows["units"], strict=True)
        ],
    }


def _comparison_position(row: dict[str, Any]) -> tuple:
    noise = noise_rank(row["noise_kind"], row["noise_percent"])
    pair = method_rank(row["baseline"]), method_rank(row["method"])
    subject = (*pair, noise) if row["comparison"] == "method" else (method_rank(row["method"]), noise)
    return row["comparison"] != "noise", row["recipe"], row["corpus"], *subject


def show_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Write ranks and the critical difference with two decimals; a dagger marks ranks over a part of the encoders."""
    table = ranks.assign(
        group=ranks["group"].str.upper(),
        method=ranks["method"].map(method_label),
        rank=[_rank_text(*row) for row in zip(ranks["rank"], ranks["missing"], strict=True)],
        critical_difference=[ABSENT if pd.isna(cd) else f"{cd:.2f}" for cd in ranks["critical_difference"]],
        friedman_p=[p_text(p) for p in ranks["friedman_p"]],
    )
    titles = {"rank": "average rank", "critical_difference": "critical difference", "friedman_p": "Friedman p"}
    return without_single_corpus(table).rename(columns=titles)


def _rank_text(rank: float, missing: int) -> str:
    return ABSENT if pd.isna(rank) else f"{rank:.2f}" + DAGGER * (missing > 0)


def show_ablations(ablations: pd.DataFrame) -> pd.DataFrame:
    """Write the accuracy of each variant, and what it gains on the method that it is compared with."""
    numbers = zip(ablations["difference"], ablations["low"], ablations["high"], strict=True)
    return without_single_corpus(
        pd.DataFrame(
            {
                "corpus": ablations["corpus"],
                "recipe": ablations["recipe"],
                "group": ablations["group"].str.upper(),
                "variant": ablations["variant"],
                "minus": ablations["method"],
                "changed": ablations["changed"],
                "accuracy": [f"{100 * value:.1f}" for value in ablations["value"]],
                "difference": [signed_interval(*row) for row in numbers],
                "p": [p_text(p) for p in ablations["p_holm"]],
                "improved": [
                    f"{improved:.0f} of {units:.0f}"
                    for improved, units in zip(ablations["improved"], ablations["units"], strict=True)
                ],
            }
        )
    )


def show_published(published: pd.DataFrame) -> pd.DataFrame:
    """Keep the published values that we have too, in percent, differences in points."""
    rows = published[published["ours"].notna()]
    noise = [noise_label(*pair) for pair in zip(rows["noise_kind"], rows["noise_percent"], strict=True)]
    intervals = zip(rows["ours"], rows["low"], rows["high"], strict=True)
    return pd.DataFrame(
        {
            "corpus": rows["corpus"],
            "recipe": rows["recipe"],
            "noise": noise,
            "group": rows["group"],
            "task": rows["task"],
            "method": rows["method"].map(method_label),
            "published": rows["published"].map(lambda value: f"{100 * value:.2f}"),
            "ours": [_between(*row) for row in intervals],
            "difference": rows["difference"].map(lambda value: f"{100 * value:+.2f}"),
            "within": rows["within"],
            "cells": rows["cells"],
            "source": rows["source"],
        }
    )


def _between(value: float, low: float, high: float) -> str:
    return f"{100 * value:.2f}" if pd.isna(low) else f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
