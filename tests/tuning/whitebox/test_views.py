"""Images under tuning: held as written, changed by the seed in training, and as features see them after it."""

import numpy as np
import pytest
import torch

from nml.pretraining.inputs import input_transform
from nml.tuning.whitebox.views import PhotographViews, SquashedViews, views_for
from tests.tuning.whitebox.examples import CROP, SQUASH, photographs

CPU = torch.device("cpu")


def views(preprocessing: dict, crop_scale: float = 0.8, flip: bool = True):
    return views_for(preprocessing, crop_scale, flip, CPU)


@pytest.mark.parametrize(("preprocessing", "kind"), [(SQUASH, SquashedViews), (CROP, PhotographViews)])
def test_test_images_are_those_that_features_see(preprocessing, kind):
    images = photographs((40, 60), (50, 30), (24, 24))
    made = views(preprocessing)
    assert isinstance(made, kind)
    expected = input_transform(preprocessing, CPU)(images)
    assert torch.equal(made.test_input([made.held_for_test(image) for image in images]), expected)


@pytest.mark.parametrize("preprocessing", [SQUASH, CROP])
def test_training_views_change_with_the_seed_alone(preprocessing):
    made, images = views(preprocessing), photographs((40, 44), (50, 46), (30, 30))
    drawn = [made.training_input(made.drawn(images, seed), seed) for seed in (1, 1, 2)]
    size = preprocessing["size"]
    assert drawn[0].shape == (3, 3, size, size)
    assert torch.equal(drawn[0], drawn[1])
    assert all(not torch.equal(one, other) for one, other in zip(drawn[0], drawn[2], strict=True))


def test_equal_photographs_in_a_batch_get_views_of_their_own():
    made, image = views(CROP), photographs((40, 60))[0]
    one, other = made.drawn([image, image], 3)
    assert not np.array_equal(one, other)


def test_without_changes_the_squashed_view_is_the_test_image():
    made, images = views(SQUASH, crop_scale=1, flip=False), photographs((40, 60), (32, 32))
    assert torch.equal(made.training_input(made.drawn(images, 1), 1), made.test_input(images))


def test_the_squashed_crop_keeps_the_share_of_the_area():
    assert views(SQUASH, crop_scale=0.81, flip=False).change.min_scale == pytest.approx(0.9)
    assert views(SQUASH, crop_scale=1, flip=True).change.flip


@pytest.mark.parametrize("crop_scale", [0.08, 0.8, 1])
def test_a_held_photograph_is_no_smaller_than_what_its_crops_show(crop_scale):
    made = views(CROP, crop_scale)
    large, small = photographs((400, 300), (20, 30))
    held = made.held(large)
    assert min(held.shape[:2]) == made.side < 300
    assert held.shape[0] / held.shape[1] == pytest.approx(4 / 3, rel=0.05)
    # The narrowest crop: the smallest area, three wide by four high.
    assert np.sqrt(crop_scale * 3 / 4) * min(held.shape[:2]) >= CROP["size"]
    np.testing.assert_array_equal(made.held(small), small)
