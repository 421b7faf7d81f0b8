"""After training photographs are cropped and scaled as timm does it, by code that training's changes do not touch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from nml import codehash
from nml.plugins import PACKAGE
from nml.pretraining.evaluation_transform import FILTERS, evaluation_transform


@pytest.mark.parametrize("interpolation", FILTERS)
@settings(max_examples=40)
@given(
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    size=st.integers(8, 60),
    crop=st.sampled_from([0.5, 0.875, 0.95, 1.0]),
)
def test_a_test_image_is_timms(interpolation, width, height, size, crop):
    timms = create_transform(size, is_training=False, interpolation=interpolation, crop_pct=crop, normalize=False)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    expected = timms(image).permute(1, 2, 0).numpy()
    assert np.array_equal(evaluation_transform(size, crop, interpolation)(image), expected)


def test_features_do_not_depend_on_the_changes_of_training():
    reached = codehash._closure((PACKAGE / "features/extract.py",))
    assert PACKAGE / "pretraining/evaluation_transform.py" in reached
    assert PACKAGE / "pretraining/transforms.py" not in reached
