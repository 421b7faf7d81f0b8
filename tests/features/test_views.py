"""Views of training images: what they may be, that they repeat, and that features hold them."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torchvision.transforms import RandomResizedCrop

from nml.features.extract import extract_features
from nml.features.store import Split, TaskFeatures, load_features, save_features
from nml.features.views import view_of
from nml.pretraining.images import stack_images
from nml.tasks.task import Task, open_task, read_split
from tests.memory import PEAK


class Pixels:
    """An encoder whose features are the means of the colours and of the four quarters of an image."""

    address = "pixels"
    module = torch.nn.Linear(1, 1)

    @staticmethod
    def transform(images: list[np.ndarray]) -> torch.Tensor:
        return stack_images(images).float()

    @staticmethod
    def features(images: torch.Tensor) -> torch.Tensor:
        quarters = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return torch.cat([images.mean(dim=(2, 3)), quarters], dim=1)


def test_half_of_the_views_are_mirrored():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3)).copy()
    views = [view_of(ramp, 1, 0.8, "task", f"key {number}") for number in range(300)]
    mirrored = np.mean([view[0, 0, 0] > view[0, -1, 0] for view in views])
    assert 0.4 < mirrored < 0.6


@pytest.mark.parametrize(("height", "width"), [(200, 300), (300, 200)])
def test_where_no_crop_fits_a_view_is_the_largest_of_an_allowed_ratio(height, width):
    """Those of a photograph of 3:2 that keep nine tenths of it are all too wide."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    photograph = Image.fromarray(image)
    top, left, down, across = RandomResizedCrop.get_params(photograph, [0.9, 1.0], [3 / 4, 4 / 3])
    box = (left, top, left + across, top + down)
    expected = np.asarray(photograph.resize((width, height), Image.Resampling.BICUBIC, box=box))
    for key in "abc":
        seen = view_of(image, 1, 0.9, "task", key)
        assert any(np.array_equal(seen, one) for one in (expected, expected[:, ::-1]))


def test_a_view_is_a_function_of_task_key_and_number():
    image = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    assert view_of(image, 0, 0.8, "task", "key") is image
    first, again = (view_of(image, 1, 0.8, "task", "key") for _ in range(2))
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.array_equal(first, again)
    others = [view_of(image, 2, 0.8, "task", "key"), view_of(image, 1, 0.8, "task", "other")]
    assert not any(np.array_equal(first, other) for other in others)


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task("handwritten-digits")


def test_features_hold_the_views_of_training_images_only(task):
    found, plain = extract_features(Pixels, task, views=3), extract_features(Pixels, task)
    assert plain.views is None
    assert found.views.shape == (3, *plain.train.features.shape)
    assert np.array_equal(found.views[0], plain.train.features) and np.array_equal(
        found.train.features, plain.train.features
    )
    key, image, _ = list(read_split(task, "train"))[-1]
    seen = stack_images([view_of(image, 2, 0.8, task.name, key)]).float()
    np.testing.assert_allclose(found.views[2, -1], Pixels.features(seen)[0], rtol=1e-5)
    assert np.array_equal(found.validation.features, plain.validation.features)


def test_stored_views_come_back_as_they_were(task, tmp_path):
    found = extract_features(Pixels, task, views=2)
    save_features(found, {}, tmp_path)
    loaded = load_features(tmp_path)
    assert np.array_equal(loaded.views, found.views)
    assert np.array_equal(loaded.train.features, found.train.features)
    assert isinstance(loaded.train.features, np.memmap)
    # Any reader of safetensors reads them.
    assert np.array_equal(load_file(tmp_path / "features.safetensors")["train"], found.views)


WRITE_AND_READ = """
import sys
from pathlib import Path
import numpy as np
from nml.features.store import Split, TaskFeatures, load_features, save_features
folder, rows = Path(sys.argv[1]), 50_000
features = np.ones((rows, 512), dtype=np.float32)
split = lambda array: Split(array, np.zeros(len(array), dtype=np.int64), [str(i) for i in range(len(array))])
small = split(features[:2])
save = lambda train: save_features(TaskFeatures("t", 2, train, small, {"a": small}, {"a": "id"}), {}, folder)
# What Arrow takes when it is first used is not of these features.
save(small)
before = peak()
save(split(features))
print(peak() - before)
"""


def test_writing_features_makes_no_second_copy_of_them(tmp_path):
    """100 MB of them; what the keys and labels take is less than half of that."""
    printed = subprocess.run(
        [sys.executable, "-c", PEAK + WRITE_AND_READ, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert float(printed.stdout) < 60
    assert load_features(tmp_path).train.features.shape == (50_000, 512)


def test_splits_without_views_are_stored_flat(tmp_path):
    one = Split(np.eye(3, dtype=np.float32), np.arange(3), ["a", "b", "c"])
    save_features(TaskFeatures("t", 3, one, one, {"x": one}, {"x": "id"}), {"some": "key"}, tmp_path)
    assert {name: array.shape for name, array in load_file(tmp_path / "features.safetensors").items()} == {
        "train": (3, 3),
        "val": (3, 3),
        "x": (3, 3),
    }
