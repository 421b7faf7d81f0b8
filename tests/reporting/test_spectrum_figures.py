"""The scatter of the spectrum against accuracy: its lines are what least squares gives."""

import numpy as np
import pandas as pd
import pytest

from nml.reporting.associations import associate, centred
from nml.reporting.spectrum_figures import spectrum_scatter


@pytest.fixture
def points() -> pd.DataFrame:
    """Three encoders of one recipe on two ID tasks."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {"corpus": "emoji", "recipe": "r", "noise_kind": "symmetric" if percent else "clean", "noise_percent": percent,
         "pretrain_seed": 0, "task": task, "group": "id", "test_set": "test", "n": 10, "dim": 4, "lsvr": 1.0,
         "dominant_ratio": 0.3, "sve": random.normal(), "accuracy": random.random()}
        for task in "ab" for percent in (0.0, 10.0, 20.0)
    )  # fmt: skip


def test_the_line_of_a_recipe_is_the_least_squares_fit_of_the_points_below(points):
    figure = spectrum_scatter(points, associate(points), {("emoji", "r", "symmetric"): "r"})
    (line,) = figure.axes[1].lines
    x, y = centred(points, "sve"), 100 * centred(points, "accuracy")
    slope, intercept = np.polyfit(x, y, 1)
    assert sorted(line.get_xdata()) == [x.min(), x.max()]
    np.testing.assert_allclose(line.get_ydata(), intercept + slope * line.get_xdata())


def test_points_of_one_spectrum_have_no_line(points):
    same = points.assign(sve=2.0)
    figure = spectrum_scatter(same, associate(same), {("emoji", "r", "symmetric"): "r"})
    assert not figure.axes[1].lines
