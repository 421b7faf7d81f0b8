import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t

from nml.reporting.averages import average_over_tasks, results_per_task
from nml.reporting.sampling import SAMPLING_KEY

from .frames import averages_of, cell_rows, exact, independent, sampled, simulated


def only_row(rows: list[dict[str, object]]) -> pd.Series:
    averages = averages_of(rows)
    assert len(averages) == 1
    return averages.iloc[0]


def test_every_task_counts_once_however_many_seeds_and_test_sets_it_has():
    row = only_row(
        [
            {"task": "a", "test_set": "one", "seed": 0, "value": 0.2},
            {"task": "a", "test_set": "one", "seed": 1, "value": 0.4},
            {"task": "a", "test_set": "two", "seed": 0, "value": 0.7},
            {"task": "b", "value": 0.9},
        ]
    )
    assert row["value"] == pytest.approx(((0.3 + 0.7) / 2 + 0.9) / 2)
    assert (row["tasks"], row["cells"], row["pretrain_seeds"], row["tuning_seeds"]) == (2, 2, 1, 1)


def test_out_of_domain_units_are_the_test_domains_of_each_task():
    row = only_row(
        [
            {"group": "ood", "task": "from-a", "test_set": "c", "value": 0.2},
            {"group": "ood", "task": "from-b", "test_set": "c", "value": 0.4},
            {"group": "ood", "task": "from-a", "test_set": "b", "value": 0.9},
        ]
    )
    assert row["value"] == pytest.approx((0.2 + 0.4 + 0.9) / 3)
    assert (row["tasks"], row["cells"]) == (3, 2)


def test_groups_methods_metrics_and_noise_are_averaged_apart():
    rows = [
        {},
        {"method": "mlp"},
        {"metric": "macro_f1"},
        {"noise_kind": "symmetric", "noise_percent": 5.0},
        {"group": "source", "task": "o"},
    ]
    assert len(averages_of(rows)) == 5


def test_interval_of_one_test_set_is_the_binomial_one_around_the_plain_mean():
    row = only_row([{"value": 0.8, "n": 400}])
    share = (400 * 0.8 + 2) / 404
    half = 1.959964 * np.sqrt(share * (1 - share) / 404)
    assert (row["low"], row["high"]) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-6)


def test_seeds_share_the_test_samples_so_equal_seeds_do_not_narrow_the_interval():
    one = only_row([{"value": 0.8}])
    ten = only_row([{"value": 0.8, "seed": seed} for seed in range(10)])
    assert ten["high"] - ten["low"] == pytest.approx(one["high"] - one["low"])


def test_pretraining_seeds_give_a_student_interval_when_test_sets_are_huge():
    values = [0.70, 0.74, 0.78]
    row = only_row([{"pretrain_seed": seed, "value": value, "n": 10**12} for seed, value in enumerate(values)])
    half = student_t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert row["high"] - row["value"] == pytest.approx(half, rel=1e-4)


def test_tuning_seeds_of_independent_tasks_add_their_variances():
    a, b = [0.50, 0.52, 0.57], [0.80, 0.81, 0.79]
    rows = [
        {"task": task, "seed": seed, "value": value, "n": 10**12}
        for task, values in (("a", a), ("b", b))
        for seed, value in enumerate(values)
    ]
    row = only_row(rows)
    terms = np.array([np.var(values, ddof=1) / 3 / 4 for values in (a, b)])
    freedom = terms.sum() ** 2 / (terms**2 / 2).sum()
    assert row["high"] - row["value"] == pytest.approx(student_t.ppf(0.975, freedom) * np.sqrt(terms.sum()), rel=1e-4)


def test_test_sets_of_one_task_share_the_head_so_its_luck_does_not_cancel():
    def rows(second: list[float]) -> list[dict[str, object]]:
        return [
            {"group": "ood", "test_set": name, "seed": seed, "value": value, "n": 10**12}
            for name, values in (("c", [0.5, 0.6]), ("d", second))
            for seed, value in enumerate(values)
        ]

    together, against = only_row(rows([0.5, 0.6])), only_row(rows([0.6, 0.5]))
    assert together["high"] - together["low"] > 100 * (against["high"] - against["low"])


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(10, 10_000), st.integers(2, 10))
def test_interval_widens_with_fewer_samples_and_holds_the_mean(value: float, samples: int, times: int):
    sizes = [{"recipe": "few", "n": samples}, {"recipe": "many", "n": samples * times}]
    averages = averages_of({"value": value} | size for size in sizes).set_index("recipe")
    assert (averages["low"].between(0, value) & averages["high"].between(value, 1)).all()
    width = averages["high"] - averages["low"]
    assert width["few"] > width["many"]


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    truth, samples, runs = np.array([0.3, 0.6, 0.85]), 200, 400
    frames = []
    for run in range(runs):
        drawn = generator.binomial(samples, truth) / samples
        seeds = generator.normal(0, 0.02, (3, 4))
        frames += [
            {"recipe": f"r{run:03}", "task": f"t{task}", "seed": seed, "n": samples,
             "value": float(np.clip(drawn[task] + seeds[task, seed], 0, 1))}
            for task in range(3) for seed in range(4)
        ]  # fmt: skip
    averages = averages_of(frames)
    covered = averages["low"].le(truth.mean()) & averages["high"].ge(truth.mean())
    assert 0.93 <= covered.mean() <= 0.97


def coverage(luck: float) -> float:
    cells, covariances = simulated(np.random.default_rng(0), 600, {0.0: 0.0}, tasks=1, luck=luck)
    averages = average_over_tasks(cells, independent(cells), covariances)
    return float((averages["low"].le(0.6) & averages["high"].ge(0.6)).mean())


def test_nominal_95_percent_cover_93_to_97_with_three_pretraining_seeds():
    assert 0.93 <= coverage(luck=0.04) <= 0.97


def test_intervals_are_too_wide_rather_than_too_narrow_where_pretraining_seeds_hardly_differ():
    assert 0.95 <= coverage(luck=0.0) <= 0.985


def test_encoders_that_err_on_different_samples_narrow_the_interval():
    """Three errors with correlation r have a mean whose variance is (1 + 2 r) / 3 of one."""
    cells, sampling, _ = sampled([{"pretrain_seed": seed} for seed in range(3)])
    widths = []
    for correlation in (1.0, 0.4):
        matrix = 0.01 * np.where(np.eye(3), 1.0, correlation)
        place = {("a", "test", 100): exact(cells)["a", "test", 100]._replace(matrix=matrix)}
        row = average_over_tasks(cells, sampling, place).iloc[0]
        widths.append(row["high"] - row["low"])
    assert widths[0] == pytest.approx(2 * 1.959964 * np.sqrt(0.25 / 104))
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(1.8 / 3))


def half_width(rows: list[dict[str, object]]) -> float:
    row = only_row([{"n": 10**12} | row for row in rows])
    return row["high"] - row["value"]


def test_encoders_that_lack_a_task_say_nothing_of_seeds_but_those_that_have_all_do():
    """The third seed lacks task b: neither what it lacks nor its own luck is a difference between encoders."""
    rows = [{"task": task, "pretrain_seed": seed, "value": level + luck}
            for task, level in (("a", 0.2), ("b", 0.7)) for seed, luck in enumerate((0.0, 0.02))]  # fmt: skip
    found = half_width([*rows, {"task": "a", "pretrain_seed": 2, "value": 0.25}])
    assert found == pytest.approx(student_t.ppf(0.975, 1) * 0.02 / 2, rel=1e-3)


def test_where_no_two_encoders_have_all_tasks_the_tuning_seeds_are_what_is_known():
    rows = [{"task": task, "pretrain_seed": number, "seed": seed, "value": value}
            for number, task in enumerate("ab") for seed, value in enumerate((0.5, 0.6, 0.7))]  # fmt: skip
    # Two cells, each with half of the weight and 0.01 / 3 as the variance of its mean.
    assert half_width(rows) == pytest.approx(student_t.ppf(0.975, 4) * np.sqrt(0.01 / 3 / 2), rel=1e-3)
    assert half_width([{"task": "a", "value": 0.2}, {"task": "b", "value": 0.9, "pretrain_seed": 1}]) < 1e-4


def test_the_fewest_pretraining_seeds_of_any_task_count():
    rows = [{"task": "a", "pretrain_seed": seed} for seed in range(3)]
    assert only_row([*rows, {"task": "b"}])["pretrain_seeds"] == 1
    assert only_row(rows)["pretrain_seeds"] == 3


def test_per_task_gives_mean_and_standard_deviation_over_seeds():
    rows = results_per_task(
        *sampled([{"seed": 0, "value": 0.5}, {"seed": 1, "value": 0.7}, {"task": "b", "value": 0.1}])
    )
    assert (rows["low"] < rows["value"]).all() and (rows["value"] < rows["high"]).all()
    assert rows["value"].tolist() == pytest.approx([0.6, 0.1])
    assert rows["std"].iloc[0] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert np.isnan(rows["std"].iloc[1])
    assert rows["seeds"].tolist() == [2, 1]


def test_per_task_deviation_is_across_pretraining_seeds_where_there_are_several():
    rows = [
        {"pretrain_seed": encoder, "seed": seed, "value": value}
        for encoder, values in enumerate([(0.4, 0.6), (0.6, 0.8)])
        for seed, value in enumerate(values)
    ]
    row = results_per_task(*sampled(rows)).iloc[0]
    assert row["std"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert (row["seeds"], row["pretrain_seeds"]) == (4, 2)


def test_the_sampling_variance_of_clustered_images_widens_the_interval():
    cells = cell_rows([{"value": 0.8, "n": 400}])
    sampling = cells[SAMPLING_KEY].assign(clusters=100, variance=0.0016)
    row = average_over_tasks(cells, sampling, exact(cells)).iloc[0]
    assert row["high"] - row["value"] == pytest.approx(1.959964 * 0.04, rel=1e-5)
