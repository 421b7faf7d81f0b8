"""How far a weighted mean of cells would move with other seeds."""

from collections.abc import Sequence

import pandas as pd

from nml.reporting.schema import CELL_NAME

_PLACE = [*(name for name in CELL_NAME if name != "pretrain_seed"), "test_set"]


def seed_variance(rows: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Return the variance due to seeds of the weighted sum of rows of each key.

    It is the variance between the sums of single encoders, divided by their number, which holds the tuning seeds too.
    Only encoders (pre-training seeds) that have every place of the key count, a place being a test set with the noise
    and the method, since others would differ by what they lack. Where fewer than two do, it is the sum over cells of
    the variance of the mean over tuning seeds: heads of different cells are independent, and the test sets of one cell
    share the head, so they are added up before. With a single seed of each it is zero.

    Parameters
    ----------
    rows
        `key`, `nml.reporting.schema.CELL_NAME`, `test_set`, `seed`, `weight`, and `part`, the weight times the value.
    key
        What tells the sums apart. A pre-training seed within it is one luck, shared by all of its cells.

    Returns
    -------
    DataFrame indexed by `key`: `variance`; `squares`, Satterthwaite's sum of V_k^2 / nu_k; `encoders`, those that have
    every place.
    """
    key = list(key)
    place = list(dict.fromkeys([*key, *_PLACE]))
    sums = rows.groupby([*place, "pretrain_seed"])[["part", "weight"]].sum()
    shares = sums.groupby(place)["weight"].transform("sum")
    values = (sums["part"] / sums["weight"] * shares).unstack("pretrain_seed")
    encoders = values.groupby(key).sum().where(values.notna().groupby(key).all())
    number = encoders.count(axis="columns")
    between = encoders.var(axis="columns") / number
    heads = rows.groupby([*key, "task", "pretrain_seed", "seed"])["part"].sum()
    cells = heads.groupby([*key, "task", "pretrain_seed"])
    within = (cells.var() * cells.size()).fillna(0)
    within_squares = within**2 / (cells.size() - 1).clip(lower=1)
    several = number > 1
    return pd.DataFrame(
        {
            "variance": between.where(several, within.groupby(key).sum()),
            "squares": (between**2 / (number - 1)).where(several, within_squares.groupby(key).sum()),
            "encoders": number,
        }
    )
