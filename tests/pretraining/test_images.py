"""Scaling and augmentation of batches."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nml.config.recipes import Augmentation
from nml.pretraining.images import augment, normalise

NOTHING = Augmentation(min_scale=1, rotation=0, flip=False)


def random_images(seed: int = 0, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_normalised_images_reach_from_minus_one_to_one():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    assert torch.equal(normalise(images, 32).amax(dim=(1, 2, 3)), torch.tensor([-1.0, 1.0]))


def test_images_of_another_size_are_resampled():
    assert normalise(random_images().repeat(1, 1, 2, 2), 32).shape == (4, 3, 32, 32)


def test_without_changes_the_image_stays():
    images = normalise(random_images(), 32)
    torch.testing.assert_close(augment(images, NOTHING, torch.Generator().manual_seed(0)), images, atol=1e-5, rtol=0)


def test_flip_mirrors_about_half_of_the_images_and_only_mirrors():
    images = normalise(random_images(count=200), 32)
    flipped = augment(images, NOTHING.model_copy(update={"flip": True}), torch.Generator().manual_seed(0))
    mirrored = torch.isclose(flipped, images.flip(-1), atol=1e-5).flatten(1).all(dim=1)
    same = torch.isclose(flipped, images, atol=1e-5).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def test_invert_and_grayscale():
    images = normalise(random_images(), 32)
    inverted = augment(images, NOTHING.model_copy(update={"invert": 1.0}), torch.Generator())
    torch.testing.assert_close(inverted, -images, atol=1e-5, rtol=0)
    grey = augment(images, NOTHING.model_copy(update={"grayscale": 1.0}), torch.Generator())
    torch.testing.assert_close(grey[:, 0], grey[:, 2])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.2, 1), rotation=st.floats(0, 180))
def test_augmentation_repeats_with_its_generator_and_stays_in_range(seed, scale, rotation):
    images = normalise(random_images(seed), 32)
    change = Augmentation(min_scale=scale, rotation=rotation, grayscale=0.5, invert=0.5)
    first = augment(images, change, torch.Generator().manual_seed(seed))
    assert torch.equal(first, augment(images, change, torch.Generator().manual_seed(seed)))
    assert first.abs().max() <= 1 + 1e-4, "a warp interpolates between pixels; it cannot exceed them"
