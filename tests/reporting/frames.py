"""Hand-made cells for the tests."""

from collections.abc import Iterable

import pandas as pd

from nml.reporting.reading import CELL_COLUMNS


def cell_rows(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Fill in what a test does not care about."""
    usual = {
        "corpus": "emoji", "recipe": "resnet-mini", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0,
        "task": "a", "group": "id", "test_set": "test", "method": "lp", "fraction": 100, "seed": 0,
        "metric": "accuracy", "value": 0.5, "n": 100,
    }  # fmt: skip
    return pd.DataFrame([usual | row for row in rows])[CELL_COLUMNS]
