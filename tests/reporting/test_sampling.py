from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nml.errors import UserError
from nml.reporting.sampling import sampling_of

from .frames import cell_rows


def write_cell(folder: Path, keys: list[str], correct: np.ndarray) -> Path:
    """Write a cell and its predictions; `correct` is boolean, shape (seeds, keys)."""
    seeds, samples = correct.shape
    predictions = pd.DataFrame(
        {"test_set": "test", "fraction": 100, "seed": np.repeat(np.arange(seeds), samples), "key": keys * seeds,
         "label": 1, "prediction": correct.ravel().astype(int)}
    )  # fmt: skip
    predictions.to_parquet(folder / "lp.predictions.parquet", index=False)
    cell_rows([{"value": correct.mean(), "n": samples}]).to_parquet(folder / "lp.parquet", index=False)
    return folder / "lp.parquet"


def variance_of(cells: list[Path]) -> pd.DataFrame:
    return sampling_of(cells).variance


def test_independent_images_have_the_variance_of_agresti_and_coull(tmp_path):
    correct = np.arange(50) < 40
    row = variance_of([write_cell(tmp_path, [f"k{i}" for i in range(50)], correct[None])]).iloc[0]
    assert row["clusters"] == 50
    assert row["variance"] == pytest.approx((42 / 54) * (12 / 54) / 54)


def test_views_that_are_right_together_count_as_one_image(tmp_path):
    correct = np.arange(50) < 40
    (tmp_path / "views").mkdir()
    one = variance_of([write_cell(tmp_path, [f"k{i}" for i in range(50)], correct[None])])
    keys = [f"k{i}__{view}" for i in range(50) for view in range(4)]
    four = variance_of([write_cell(tmp_path / "views", keys, np.repeat(correct, 4)[None])])
    assert four["variance"].iloc[0] == pytest.approx(one["variance"].iloc[0])
    assert four["clusters"].iloc[0] == 50


def test_equal_seeds_do_not_narrow_it_and_perfect_accuracy_keeps_some(tmp_path):
    correct = np.ones(30, dtype=bool)
    (tmp_path / "seeds").mkdir()
    keys = [f"k{i}" for i in range(30)]
    one = variance_of([write_cell(tmp_path, keys, correct[None])])["variance"].iloc[0]
    five = variance_of([write_cell(tmp_path / "seeds", keys, np.tile(correct, (5, 1)))])["variance"].iloc[0]
    assert five == pytest.approx(one) and one > 0


def test_it_agrees_with_repeated_draws_of_clusters(tmp_path):
    generator = np.random.default_rng(0)
    level = generator.beta(1, 1, 400)
    correct = generator.random((400, 5)) < level[:, None]
    keys = [f"k{i}__{view}" for i in range(400) for view in range(5)]
    found = variance_of([write_cell(tmp_path, keys, correct.reshape(1, -1))])["variance"].iloc[0]
    means = correct.mean(axis=1)[generator.integers(0, 400, (4000, 400))].mean(axis=1)
    assert np.sqrt(found) == pytest.approx(means.std(), rel=0.06)


def test_missing_predictions_are_named(tmp_path):
    cell = write_cell(tmp_path, ["a"], np.ones((1, 1), dtype=bool))
    cell.with_suffix(".predictions.parquet").unlink()
    with pytest.raises(UserError, match=r"files of predictions do not exist(.|\n)*lp\.predictions\.parquet"):
        variance_of([cell])
