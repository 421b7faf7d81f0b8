import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from nml.reporting.associations import spectrum_points, within_task_spearman


def points(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Rows for arrays of shape (tasks, encoders)."""
    return pd.DataFrame(
        {"corpus": "emoji", "recipe": "r", "noise_kind": "symmetric", "noise_percent": float(encoder),
         "pretrain_seed": 0, "task": f"t{task}", "test_set": "test", "x": x[task, encoder], "y": y[task, encoder]}
        for task in range(x.shape[0]) for encoder in range(x.shape[1])
    )  # fmt: skip


def test_levels_of_tasks_do_not_count():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(6, 5)), generator.normal(size=(6, 5))
    plain = within_task_spearman(points(x, y), "x", "y")
    shifted = within_task_spearman(points(x + generator.normal(size=(6, 1)) * 9, y + 3), "x", "y")
    assert shifted.spearman == pytest.approx(plain.spearman)
    assert shifted.p == pytest.approx(plain.p)


def test_agrees_with_scipy_on_centred_values():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 6, 5))
    expected = spearmanr((x - x.mean(1, keepdims=True)).ravel(), (y - y.mean(1, keepdims=True)).ravel()).statistic
    assert within_task_spearman(points(x, y), "x", "y").spearman == pytest.approx(expected)


def test_perfect_order_has_the_smallest_p_that_the_encoders_allow():
    x = np.tile(np.arange(5.0), (3, 1))
    found = within_task_spearman(points(x, x**3), "x", "y")
    assert found.spearman > 0.99
    # The reverse order is as extreme.
    assert found.p == pytest.approx(2 / 120)
    assert (found.points, found.test_sets, found.encoders) == (15, 3, 5)


def test_many_tasks_do_not_make_an_accident_of_few_encoders_significant():
    """Encoders move on all tasks together: 100 copies of a task tell no more than one."""
    x, y = np.array([[0.0, 1, 2, 3]]), np.array([[0.0, 2, 1, 3]])
    once, often = (within_task_spearman(points(np.tile(x, (k, 1)), np.tile(y, (k, 1))), "x", "y") for k in (1, 100))
    assert often.p == pytest.approx(once.p) and often.p > 0.1


def test_more_encoders_than_can_be_permuted_exhaustively_are_sampled_alike_each_time():
    generator = np.random.default_rng(2)
    frame = points(*generator.normal(size=(2, 3, 9)))
    assert within_task_spearman(frame, "x", "y") == within_task_spearman(frame, "x", "y")


def test_p_cannot_fall_below_one_over_the_permutations_tried():
    x = np.tile(np.arange(9.0), (3, 1))
    assert 1 / 5040 <= within_task_spearman(points(x, x), "x", "y").p <= 3 / 5040


def test_luck_of_a_pretraining_seed_does_not_count():
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(2, 4, 4))
    frames = [points(x + luck, y + luck).assign(pretrain_seed=seed) for seed, luck in enumerate((0.0, 9.0))]
    found = within_task_spearman(pd.concat(frames), "x", "y")
    assert found.spearman == pytest.approx(within_task_spearman(points(x, y), "x", "y").spearman, abs=0.05)
    assert found.encoders == 8


def test_encoders_are_exchanged_within_a_pretraining_seed():
    x = np.tile(np.arange(3.0), (2, 1))
    frames = [points(x, x).assign(pretrain_seed=seed) for seed in (0, 1)]
    # Of 3! x 3! orders the identity alone and both seeds reversed are as extreme.
    assert within_task_spearman(pd.concat(frames), "x", "y").p == pytest.approx(2 / 36)


def test_two_encoders_give_no_correlation_and_incomplete_test_sets_are_left_out():
    x = np.arange(8.0).reshape(2, 4)
    assert np.isnan(within_task_spearman(points(x[:, :2], x[:, :2]), "x", "y").spearman)
    assert within_task_spearman(points(x, x).iloc[:-1], "x", "y").test_sets == 1


def test_points_leave_the_untrained_control_out(tables_dir):
    tables = [pd.read_parquet(tables_dir / f"{name}.parquet") for name in ("cells", "spectra")]
    found = spectrum_points(*tables)
    assert set(found["noise_kind"]) == {"clean", "symmetric", "swap"}
    assert len(found) == 10 * (14 + 5)
