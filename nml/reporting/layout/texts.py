"""Numbers as readers see them, and the marks beside them."""

import pandas as pd

from nml.reporting.labels import p_label

ABSENT = "-"
LOST = "missing"
DAGGER = "†"
"""Marks what is over fewer cells than the matrix has."""


def p_text(p: float) -> str:
    """Write a p-value with three decimals, never as zero."""
    return ABSENT if pd.isna(p) else p_label(p).removeprefix("= ")


def signed_interval(value: float, low: float, high: float) -> str:
    """Write a difference of fractions in points, such as `-1.2 [-2.0, -0.4]`."""
    # + 0.0 writes a small loss as +0.0, not as -0.0.
    value, low, high = (round(100 * number, 1) + 0.0 for number in (value, low, high))
    return f"{value:+.1f}" if pd.isna(low) else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def interval(value: float, low: float, high: float, partial: bool) -> str:
    """Write a fraction in percent, such as `81.2 ± 0.6`; a dagger marks one that lacks a part of its cells."""
    if pd.isna(value):
        return LOST
    half = max(value - low, high - value)
    return f"{100 * value:.1f} ± {100 * half:.1f}" + DAGGER * bool(partial)
