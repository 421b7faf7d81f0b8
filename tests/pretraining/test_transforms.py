"""Photographs are cropped and scaled as torchvision and timm do it, by the seed alone."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp
from timm.data import create_transform
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import hflip, resized_crop

from nml.config.transforms import ImageTransform
from nml.pretraining.random_box import random_box
from nml.pretraining.transforms import training_transform

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
sides = st.integers(8, 90)


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("interpolation", MODES)
@settings(max_examples=30)
@given(width=sides, height=sides, seed=st.integers(0, 2**63 - 1), size=st.integers(8, 40))
def test_a_training_image_is_torchvisions_crop_of_the_same_box(interpolation, width, height, seed, size):
    how = ImageTransform(size=size, interpolation=interpolation)
    image = photograph(width, height)
    left, top, right, bottom = random_box(width, height, how.crop_scale, random.Random(seed))
    crop = resized_crop(image, top, left, bottom - top, right - left, (size, size), MODES[interpolation])
    found = training_transform(how)(image, seed)
    assert any(np.array_equal(found, np.asarray(expected)) for expected in (crop, hflip(crop)))


@pytest.mark.parametrize(("width", "height"), [(500, 375), (300, 900), (64, 64)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0)])
def test_crops_are_distributed_as_torchvisions(width, height, scale):
    torch.manual_seed(0)
    image, rng, draws = photograph(width, height), random.Random(0), 4000
    ours = np.array([random_box(width, height, scale, rng) for _ in range(draws)])
    ours = np.stack([ours[:, 1], ours[:, 0], ours[:, 3] - ours[:, 1], ours[:, 2] - ours[:, 0]], axis=1)
    theirs = np.array([RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(draws)])
    for mine, other in zip(ours.T, theirs.T, strict=True):
        assert ks_2samp(mine, other).pvalue > 1e-3


@pytest.mark.parametrize(("width", "height"), [(1000, 10), (10, 1000)])
def test_a_crop_that_never_fits_is_torchvisions_central_one(width, height):
    expected = RandomResizedCrop.get_params(photograph(width, height), [0.9, 1.0], [3 / 4, 4 / 3])
    left, top, right, bottom = random_box(width, height, (0.9, 1.0), random.Random(0))
    assert (top, left, bottom - top, right - left) == tuple(expected)


def test_half_of_the_images_are_mirrored():
    how = ImageTransform(size=16, crop_scale=(1.0, 1.0))
    image = photograph(16, 16)
    still = training_transform(how.model_copy(update={"flip": False}))
    found = [(still(image, seed), training_transform(how)(image, seed)) for seed in range(400)]
    mirrored = [np.array_equal(changed, plain[:, ::-1]) for plain, changed in found]
    assert all(m or np.array_equal(changed, plain) for m, (plain, changed) in zip(mirrored, found, strict=True))
    assert 160 < sum(mirrored) < 240


@pytest.mark.parametrize("rand_augment", [None, "rand-m7-mstd0.5-inc1"])
def test_the_seed_alone_decides(rand_augment):
    transform = training_transform(ImageTransform(size=24, rand_augment=rand_augment))
    image = photograph(50, 40)
    first = [transform(image, seed) for seed in range(8)]
    random.seed(5)
    np.random.seed(5)
    assert all(np.array_equal(transform(image, seed), before) for seed, before in enumerate(first))
    assert len({pixels.tobytes() for pixels in first}) == 8


def test_rand_augment_changes_half_of_the_images_whatever_their_crops():
    how = ImageTransform(size=24, flip=False, rand_augment="rand-m9-n1")
    plain = training_transform(how.model_copy(update={"rand_augment": None}))
    image, changed = photograph(60, 60), {"small": [], "large": []}
    for seed in range(600):
        left, top, right, bottom = random_box(60, 60, how.crop_scale, random.Random(seed))
        size = "small" if (right - left) * (bottom - top) < 0.5 * 60 * 60 else "large"
        changed[size].append(not np.array_equal(training_transform(how)(image, seed), plain(image, seed)))
    assert all(0.4 < np.mean(found) < 0.6 for found in changed.values())


def test_global_random_states_stay():
    transform = training_transform(ImageTransform(size=24, rand_augment="rand-m9-n3-mstd0.5"))
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    transform(photograph(50, 40), 3)
    assert (random.random(), np.random.random()) == expected


def test_rand_augment_is_built_as_timm_builds_it():
    notation = "rand-m7-n3-mstd0.5-inc1"
    transform = training_transform(ImageTransform(size=32, rand_augment=notation))
    ours = next(cell.cell_contents for cell in transform.__closure__ if hasattr(cell.cell_contents, "ops"))
    timms = create_transform(32, is_training=True, auto_augment=notation, interpolation="bicubic")
    theirs = next(step for step in timms.transforms if hasattr(step, "ops"))
    assert (repr(ours), ours.num_layers) == (repr(theirs), theirs.num_layers)
    for mine, other in zip(ours.ops, theirs.ops, strict=True):
        assert (mine.hparams, mine.kwargs) == (other.hparams, other.kwargs)
