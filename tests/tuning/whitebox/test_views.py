"""Images under tuning: held as written, changed by the seed in training, and as features see them after it."""

import numpy as np
import pytest
import torch
from PIL import Image

from nml.pretraining.inputs import input_transform
from nml.tasks.task import open_task
from nml.tuning.whitebox.images import read_images
from nml.tuning.whitebox.pixels import write_pixels
from nml.tuning.whitebox.views import PhotographViews, SquashedViews, views_for
from tests.tuning.whitebox.examples import SQUASH

CPU = torch.device("cpu")
CROP = {"resize": "crop", "size": 24, "crop": 0.9, "interpolation": "bicubic", "mean": [0.4] * 3, "std": [0.2] * 3}


def photographs(*sizes: tuple[int, int]) -> list[np.ndarray]:
    """Return smooth random images of these sizes (height, width)."""
    small = np.random.default_rng(0).integers(0, 255, (len(sizes), 4, 4, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(one).resize(size[::-1], 2)) for one, size in zip(small, sizes, strict=True)]


def views(preprocessing: dict, crop_scale: float = 0.8, flip: bool = True):
    return views_for(preprocessing, crop_scale, flip, CPU)


def test_images_of_any_sizes_are_read_back_from_their_file(tmp_path):
    images = photographs((5, 7), (9, 2), (1, 1))
    held = write_pixels(tmp_path / "new" / "x.pixels", iter(images))
    assert len(held) == 3
    for place in (2, 0, 1):
        np.testing.assert_array_equal(held[place], images[place])
    some = held.chosen(np.array([2, 1]))
    assert len(some) == 2
    np.testing.assert_array_equal(some[1], images[1])
    assert (tmp_path / "new" / "x.pixels").stat().st_size == 3 * (35 + 18 + 1)


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


@pytest.mark.parametrize("preprocessing", [SQUASH, CROP])
def test_a_task_is_read_split_by_split(tiny_task, tmp_path, preprocessing):
    made = views(preprocessing)
    found = read_images(open_task("tiny-domains"), made, tmp_path / "held")
    assert (found.task, found.num_classes, found.groups) == ("tiny-domains", 3, {"test": "id", "test-far": "ood"})
    assert [len(split.pixels) for split in (found.train, found.validation, *found.tests.values())] == [12, 6, 6, 6]
    assert found.train.labels.tolist() == [0, 1, 2] * 4
    assert found.tests["test-far"].keys[0] == "test-far00"
    whole, cropped = (
        torch.cat([*split.batches(made, are_whole)])
        for split, are_whole in ((found.train, True), (found.validation, False))
    )
    assert whole.shape[1:] == cropped.shape[1:] == (3, preprocessing["size"], preprocessing["size"])
    rows = np.array([3, 1])
    drawn = found.train.drawn(rows, made, seed=5)
    assert made.training_input(drawn, 5).shape == (2, 3, preprocessing["size"], preprocessing["size"])
