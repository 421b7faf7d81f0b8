"""Encoders in the order that a reader expects, their noise in one column."""

from typing import Any

import pandas as pd

from nml.grid import UNTRAINED
from nml.reporting.labels import MAJORITY, METRICS, noise_label, noise_rank
from nml.reporting.series import sort_rows


def encoder_position(row: dict[str, Any]) -> tuple:
    """Metrics in their order; in each recipe the corpora one after the other, then the controls."""
    metrics = list(METRICS)
    metric = row.get("metric")
    position = noise_rank(row["noise_kind"], row["noise_percent"])
    return (
        metrics.index(metric) if metric in metrics else len(metrics),
        row["recipe"],
        row["noise_kind"] in (UNTRAINED, MAJORITY),
        row["corpus"],
        position,
        row.get("pretrain_seed", 0),
    )


def named_noise(table: pd.DataFrame) -> pd.DataFrame:
    """Sort, and fold kind and percent into one column `noise`."""
    table = sort_rows(table, encoder_position)
    noise = [noise_label(*pair) for pair in zip(table["noise_kind"], table["noise_percent"], strict=True)]
    table = without_single_corpus(table.assign(noise=noise))
    if "metric" in table:
        table["metric"] = table["metric"].replace(METRICS)
    front = [name for name in ("metric", "corpus", "recipe", "noise") if name in table]
    rest = [name for name in table if name not in (*front, "noise_kind", "noise_percent")]
    return table[front + rest].rename(columns={"pretrain_seed": "pre-training seed"})


def without_single_corpus(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the column `corpus` where it says the same in every row."""
    corpora = set(table["corpus"]) - {""}
    return table.drop(columns="corpus") if len(corpora) <= 1 else table
