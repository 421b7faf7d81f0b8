"""How many samples a ratio is, for all kinds alike."""

import math
from fractions import Fraction


def count_of(ratio: float, total: int) -> int:
    """Return ratio * total, rounded to the nearest integer, halves up.

    The ratio is taken as the decimal number that it was written as, to 12 digits: 0.29 of 50 is 14.5, so 15, though the
    nearest binary number to 0.29 lies below it. So equal percents give equal counts however they were computed.
    """
    return math.floor(Fraction(f"{ratio:.12g}") * total + Fraction(1, 2))
