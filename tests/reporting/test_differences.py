from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from nml.reporting.differences import holm, paired_differences
from nml.reporting.tables import read_table

from .frames import cell_rows, exact

CLEAN = {"noise_kind": "clean", "noise_percent": 0.0}
NOISY = {"noise_kind": "symmetric", "noise_percent": 10.0}


def differences_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Compare hand-made cells on test sets so large that their samples add nothing."""
    cells = cell_rows(rows)
    return paired_differences(cells, exact(cells))


def arm(values: np.ndarray, **place: object) -> list[dict[str, object]]:
    """Rows of values, shape (tasks, seeds)."""
    return [
        {"task": f"t{task}", "seed": seed, "value": float(value), **place}
        for (task, seed), value in np.ndenumerate(values)
    ]


def test_noise_is_compared_with_clean_as_in_a_paired_t_test_over_tasks():
    clean, noisy = np.random.default_rng(0).uniform(0.3, 0.7, (2, 6, 3))
    row = differences_of([*arm(clean, **CLEAN), *arm(noisy, **NOISY)]).iloc[0]
    expected = ttest_rel(noisy.mean(1), clean.mean(1))
    interval = expected.confidence_interval(0.95)
    assert row["difference"] == pytest.approx((noisy - clean).mean())
    assert row["tasks_p"] == pytest.approx(expected.pvalue)
    assert (row["tasks_low"], row["tasks_high"]) == pytest.approx((interval.low, interval.high))
    changes = noisy.mean(1) - clean.mean(1)
    assert row["effect"] == pytest.approx(changes.mean() / changes.std(ddof=1))
    assert (row["units"], row["improved"]) == (6, (noisy.mean(1) > clean.mean(1)).sum())
    assert (row["comparison"], row["baseline"], row["tuning_seeds"], row["pretrain_seeds"]) == ("noise", "clean", 3, 1)


def test_methods_are_compared_on_the_same_encoder():
    lp, nmtune = np.random.default_rng(1).uniform(0.3, 0.7, (2, 5, 2))
    table = differences_of([*arm(lp, method="lp"), *arm(nmtune, method="nmtune")])
    assert table[["comparison", "method", "baseline", "units"]].to_numpy().tolist() == [["method", "nmtune", "lp", 5]]
    assert table["difference"].iloc[0] == pytest.approx((nmtune - lp).mean())


def test_only_rows_with_a_partner_count():
    clean, noisy = np.full((3, 2), 0.5), np.array([[0.6, 0.9], [0.7, 0.9], [0.9, 0.9]])
    rows = [*arm(clean, **CLEAN), *arm(noisy, **NOISY)]
    kept = [row for row in rows if (row["task"], row["seed"]) != ("t2", 0) and row["seed"] == 0]
    row = differences_of(kept).iloc[0]
    assert (row["units"], row["difference"]) == (2, pytest.approx(0.15))


def test_units_out_of_domain_are_the_domains_of_each_task():
    rows = [
        {**noise, "group": "ood", "task": task, "test_set": domain, "value": value}
        for noise, value in ((CLEAN, 0.5), (NOISY, 0.4))
        for task in ("from-a", "from-b")
        for domain in ("c", "d")
    ]
    row = differences_of(rows).iloc[0]
    assert (row["units"], row["improved"]) == (4, 0)


def test_controls_own_domains_and_other_corpora_are_not_compared():
    rows = [
        {**CLEAN},
        {**NOISY, "corpus": "icons"},
        {"noise_kind": "untrained", "method": "nmtune"},
        {"noise_kind": "untrained"},
        {**NOISY, "method": "majority"},
        {**CLEAN, "method": "majority"},
        {**NOISY, "group": "source", "task": "o"},
        {**CLEAN, "group": "source", "task": "o"},
    ]
    assert differences_of(rows).empty


def test_one_unit_tells_nothing_of_other_tasks():
    row = differences_of([CLEAN, {**NOISY, "value": 0.4}]).iloc[0]
    assert row["difference"] == pytest.approx(-0.1)
    assert row[["tasks_low", "tasks_high", "tasks_p", "effect"]].isna().all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_bonferroni_on_every_subset_of_the_hypotheses(values: list[float]):
    """Holm's method is the closed test: a hypothesis is as doubtful as the most doubtful subset that holds it."""
    places = range(len(values))
    subsets = [subset for size in places for subset in combinations(places, size + 1)]
    worst = [max(len(s) * min(values[i] for i in s) for s in subsets if place in s) for place in places]
    assert holm(pd.Series(values)).to_numpy() == pytest.approx(np.minimum(worst, 1))


def test_holm_leaves_missing_values_out():
    assert holm(pd.Series([0.01, np.nan, 0.04])).tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)


def test_the_known_effects_of_the_made_up_study_are_found(tables_dir):
    table = read_table(tables_dir, "differences")
    table = table[table["metric"] == "accuracy"]
    worst = table[(table["noise_percent"] == 30) & (table["comparison"] == "noise") & (table["group"] == "ood")]
    assert len(worst) == 6 and worst["difference"].between(-0.1, -0.08).all() and (worst["improved"] == 0).all()
    tuned = table[(table["baseline"] == "lp") & (table["method"] == "nmtune") & (table["group"] == "id")]
    assert len(tuned) == 10 and tuned["difference"].between(0.01, 0.03).all() and (tuned["tasks_p"] < 0.05).all()


def test_p_is_never_written_as_zero(tables_dir):
    text = (tables_dir / "differences.md").read_text()
    assert "< 0.001" in text and "0.000" not in text
    assert "0 of 4" in text and "14 of 14" in text


def test_seeds_that_cancel_are_no_improvement():
    clean, noisy = np.full((2, 3), 0.1), np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.3]])
    row = differences_of([*arm(clean, **CLEAN), *arm(noisy, **NOISY)]).iloc[0]
    assert row["improved"] == 0
