"""The claims and their verdicts."""

import pandas as pd

from nml.reporting.layout.texts import ABSENT, p_text


def show_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Write one row for each claim, part and family: differences in points, correlations as they are."""
    scale = claims["measure"].map({"difference": 100.0}).fillna(1.0)
    numbers = zip(*(claims[name] * scale for name in ("estimate", "low", "high")), claims["measure"], strict=True)
    return pd.DataFrame(
        {
            "claim": claims["claim"].where(claims["level"] == "claim", ""),
            "about": claims["part"].where(claims["level"] != "claim", claims["statement"]),
            "verdict": claims["verdict"],
            "estimate [95 %]": [_estimate(*row) for row in numbers],
            "measure": claims["measure"].replace({"difference": "points"}),
            "p": [p_text(p) for p in claims["p_holm"]],
            "cells": claims["cells"],
            "seeds": claims["pretrain_seeds"],
            "missing": claims["missing"],
        }
    )


def _estimate(value: float, low: float, high: float, measure: str) -> str:
    if pd.isna(value):
        return ABSENT
    write = "{:+.2f}".format
    return write(value + 0.0) if pd.isna(low) else f"{write(value + 0.0)} [{write(low + 0.0)}, {write(high + 0.0)}]"
