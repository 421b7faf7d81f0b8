"""What one condition finds: a difference or a correlation, and which of several speaks least for a claim."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from nml.reporting.associations import within_task_spearman
from nml.reporting.contrasts import cells_behind, estimate
from nml.reporting.sampling import Covariances

SIGNIFICANT = 0.05
FAMILY = ["corpus", "recipe", "noise_kind"]


class Found(NamedTuple):
    """One number that speaks for or against a claim; `sign` is what the claim expects, 0 for either."""

    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    cells: int = 0
    pretrain_seeds: int = 0
    sign: int = 0

    def side(self) -> int:
        """Return 1 if the whole interval is where the claim expects it, -1 if it is opposite, else 0."""
        sign = self.sign or np.sign(self.estimate)
        return int(sign * self.low > 0 and sign * self.high > 0) - int(sign * self.low < 0 and sign * self.high < 0)


def difference(
    pairs: pd.DataFrame, key: Sequence[str], covariances: Covariances, levels: Sequence[str]
) -> pd.DataFrame:
    """Estimate the difference of each condition; `cells` counts those of all conditions together."""
    table = estimate(pairs, key, covariances, [name for name in levels if name not in key])
    # Conditions share clean encoders.
    return table.assign(cells=cells_behind(pairs)) if len(pairs) else table


def weakest(table: pd.DataFrame, sign: int) -> Found:
    """Return the condition that speaks least for the claim; see `claims_table`."""
    if table.empty:
        return Found(sign=sign)
    conditions = [
        Found(row.difference, row.low, row.high, row.p, row.cells, row.pretrain_seeds, sign)
        for row in table.itertuples()
    ]
    seeds = min(found.pretrain_seeds for found in conditions)
    # Against the claim one of several conditions is enough, which chance offers more often.
    against = [found._replace(p=min(1.0, found.p * len(conditions))) for found in conditions if found.side() < 0]
    if against:
        return min(against, key=lambda found: found.p)._replace(pretrain_seeds=seeds)
    chosen = min(conditions, key=lambda found: found.low if sign > 0 else -found.high)
    # That all of them hold is as doubtful as the most doubtful one, which may be another; a missing p stays missing.
    return chosen._replace(p=float(np.max([found.p for found in conditions])), pretrain_seeds=seeds)


def associated(points: pd.DataFrame, quantity: str, sign: int) -> Found:
    """Correlate a quantity with accuracy within tasks; nothing is found where there are too few encoders."""
    found = within_task_spearman(points, quantity, "accuracy")
    if np.isnan(found.spearman):
        return Found(sign=sign)
    seeds = points.groupby(["corpus", "recipe"])["pretrain_seed"].nunique().min()
    cells = len(points.drop_duplicates(["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed", "task"]))
    return Found(found.spearman, found.low, found.high, found.p, cells, int(seeds), sign)


def one_sign(together: Found, families: list[Found]) -> Found:
    """Where the sign is open, two recipes with opposite ones contradict: show the one that opposes the whole."""
    if together.sign:
        return together
    clear = [found for found in families if found.side() > 0 and found.p * len(families) < SIGNIFICANT]
    against = [found for found in clear if found.estimate * together.estimate < 0]
    if against and len({np.sign(found.estimate) for found in clear}) > 1:
        chosen = min(against, key=lambda found: found.p)
        # One of several recipes is enough, which chance offers more often.
        return chosen._replace(p=min(1.0, chosen.p * len(families)), sign=int(np.sign(together.estimate)))
    return together
