"""Of several conditions, the one that is shown has the p that the verdict needs."""

import pandas as pd
import pytest

from nml.reporting.findings import Found, one_sign, weakest


def conditions(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["difference", "low", "high", "p"])
    return table.assign(cells=8, pretrain_seeds=3)


def test_all_conditions_hold_as_surely_as_the_least_sure_one_which_another_interval_may_hide():
    found = weakest(conditions((-0.5, -0.8, -0.2, 0.001), (-10, -19, -1, 0.03)), -1)
    assert (found.estimate, found.p, found.side()) == (-0.5, 0.03, 1)


def test_all_conditions_hold_for_certain_only_if_each_has_a_p():
    found = weakest(conditions((-0.5, -0.8, -0.2, 0.001), (-0.5, -0.8, -0.2, float("nan"))), -1)
    assert pd.isna(found.p)


def test_the_surest_of_the_conditions_that_are_against_pays_for_their_number():
    found = weakest(conditions((0.5, 0.2, 0.8, 0.001), (10, 1, 19, 0.03), (-2, -3, -1, 0.2)), -1)
    assert (found.estimate, found.p, found.side()) == (0.5, pytest.approx(0.003), -1)


def test_the_surest_of_the_recipes_of_opposite_sign_pays_for_their_number():
    together = Found(0.3, 0.1, 0.5, 0.01, 20)
    against = [Found(-0.4, -0.7, -0.1, p, 10) for p in (0.012, 0.01)]
    found = one_sign(together, [Found(0.6, 0.4, 0.8, 0.001, 10), *against])
    assert (found.p, found.side()) == (pytest.approx(0.03), -1)
    assert one_sign(together, [Found(0.6, 0.4, 0.8, 0.001, 10), against[0]._replace(p=0.03)]) == together
