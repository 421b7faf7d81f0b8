"""Contrasts agree with bootstraps and t-tests, and their intervals hold what they promise."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_rel
from scipy.stats import t as student_t

from nml.reporting.contrasts import against_clean, against_method, comparable, estimate
from nml.reporting.differences import paired_differences
from nml.reporting.sampling import Covariance

from .frames import cell_rows, exact, simulated


def difference(rows: list[dict[str, object]]) -> pd.Series:
    cells = comparable(cell_rows(rows))
    return estimate(against_clean(cells), ["recipe"], exact(cells)).iloc[0]


def coverage(luck: float) -> float:
    cells, covariances = simulated(np.random.default_rng(0), 600, {0.0: 0.0, 10.0: 0.05}, tasks=1, luck=luck)
    found = estimate(against_clean(comparable(cells)), ["recipe"], covariances)
    return float(((found["low"] <= 0.05) & (found["high"] >= 0.05)).mean())


def test_nominal_95_percent_cover_93_to_97():
    """Over other test samples and other pre-training seeds, of which there are three."""
    assert 0.93 <= coverage(luck=0.04) <= 0.97


def test_intervals_are_too_wide_rather_than_too_narrow_where_seeds_hardly_differ():
    assert coverage(luck=0.0) >= 0.95


def test_no_difference_is_found_in_at_most_5_percent_of_families_and_a_planted_one_is():
    noise = {0.0: 0.0, 5.0: 0.0, 10.0: 0.0, 30.0: -0.2}
    cells, covariances = simulated(np.random.default_rng(1), 300, noise, seeds=5, tasks=1, luck=0.01)
    found = paired_differences(cells, covariances)
    planted = found["noise_percent"] == 30
    nothing = found[~planted]
    assert (nothing["p_holm"] < 0.05).groupby(nothing["recipe"]).any().mean() <= 0.05
    assert (found[planted]["p_holm"] < 0.05).mean() > 0.9


def test_pairing_by_test_sample_narrows_the_interval():
    cells, covariances = simulated(np.random.default_rng(2), 20, {0.0: 0.0, 10.0: 0.0}, seeds=1)
    unpaired = {place: found._replace(matrix=np.diag(np.diag(found.matrix))) for place, found in covariances.items()}
    pairs = against_clean(comparable(cells))
    widths = [(table["high"] - table["low"]).mean()
              for table in (estimate(pairs, ["recipe"], part) for part in (covariances, unpaired))]  # fmt: skip
    assert widths[0] < 0.95 * widths[1]


def test_it_is_the_bootstrap_over_test_samples_where_there_is_one_seed():
    generator = np.random.default_rng(3)
    right = np.array([[0.5], [0.6]]) > generator.uniform(size=400)
    names = [("emoji", "resnet-mini", "clean", 0.0, 0, "a", method) for method in ("lp", "mlp")]
    covariance = Covariance({name: row for row, name in enumerate(names)}, np.cov(right) / 400)
    cells = comparable(cell_rows([{"method": m, "value": r.mean()} for m, r in zip(("lp", "mlp"), right, strict=True)]))
    found = estimate(against_method(cells, "mlp", "lp"), ["recipe"], {("a", "test", 100): covariance}).iloc[0]
    drawn = bootstrap((right[1].astype(float) - right[0],), np.mean, method="percentile", rng=generator)
    interval = drawn.confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), abs=0.004)


def test_with_huge_test_sets_it_is_the_paired_t_test_over_pretraining_seeds():
    clean, noisy = np.random.default_rng(4).uniform(0.4, 0.6, (2, 4))
    rows = [{"pretrain_seed": seed, "value": value} for seed, value in enumerate(clean)]
    rows += [{"pretrain_seed": seed, "value": value, "noise_kind": "symmetric", "noise_percent": 10.0}
             for seed, value in enumerate(noisy)]  # fmt: skip
    found, expected = difference(rows), ttest_rel(noisy, clean)
    interval = expected.confidence_interval(0.95)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert (found["cells"], found["pretrain_seeds"], found["tuning_seeds"]) == (8, 4, 1)


def test_recipes_have_seeds_of_their_own():
    """Averaged over two recipes, luck that is alike in both by its number alone does not add up."""
    rows = [
        {"recipe": recipe, "pretrain_seed": seed, "value": 0.5 + effect + (luck if percent else 0.0),
         "noise_kind": "symmetric" if percent else "clean", "noise_percent": percent}
        for recipe in ("a", "b") for percent, effect in ((0.0, 0.0), (10.0, 0.1))
        for seed, luck in enumerate((-0.02, 0.0, 0.02))
    ]  # fmt: skip
    cells = comparable(cell_rows(rows))
    pairs = against_clean(cells)
    one = estimate(pairs, ["recipe"], exact(cells)).iloc[0]
    both = estimate(pairs, ["metric"], exact(cells), ["recipe"]).iloc[0]
    assert both["difference"] == pytest.approx(0.1)
    # Half the variance of one, with four degrees of freedom instead of two.
    assert (both["high"] - 0.1) / (one["high"] - 0.1) == pytest.approx(2.776445 / 4.302653 / np.sqrt(2), abs=1e-6)


def test_ratios_share_the_weight_equally_however_many_tasks_each_has():
    rows = [{"task": task, "value": 0.5} for task in "abc"]
    rows += [{"task": task, "value": 0.6, "noise_kind": "symmetric", "noise_percent": 5.0} for task in "abc"]
    rows += [{"task": "a", "value": 0.4, "noise_kind": "symmetric", "noise_percent": 10.0}]
    cells = comparable(cell_rows(rows))
    found = estimate(against_clean(cells), ["recipe"], exact(cells), ["noise_percent"])
    assert found["difference"].iloc[0] == pytest.approx(0.0)


def pairs_of(task: str, encoder: int, change: float, **others: object) -> list[dict[str, object]]:
    cell = {"task": task, "pretrain_seed": encoder, **others}
    return [cell | {"value": 0.5}, cell | {"value": 0.5 + change, "noise_kind": "symmetric", "noise_percent": 10.0}]


def test_seeds_that_lack_a_task_do_not_differ_by_its_change():
    """The third seed lacks task b, whose change is another."""
    lucks = enumerate((0.0, 0.02))
    rows = [row for seed, luck in lucks for task, level in (("a", -0.1), ("b", 0.1))
            for row in pairs_of(task, seed, level + luck)]  # fmt: skip
    found = difference([*rows, *pairs_of("a", 2, -0.1)])
    assert found["high"] - found["difference"] == pytest.approx(student_t.ppf(0.975, 1) * 0.01)


def test_where_no_two_seeds_have_all_tasks_the_tuning_seeds_are_what_is_known():
    rows = [row for number, task in enumerate("ab") for seed, change in enumerate((0.1, 0.2, 0.3))
            for row in pairs_of(task, number, change, seed=seed)]  # fmt: skip
    found = difference(rows)
    half = student_t.ppf(0.975, 4) * np.sqrt(0.01 / 3 / 2)
    assert found["high"] - found["difference"] == pytest.approx(half)
