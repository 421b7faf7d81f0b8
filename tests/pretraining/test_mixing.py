"""Mixed batches are those of timm's Mixup, for the same draws."""

from types import SimpleNamespace

import numpy as np
import pytest
import timm.data.mixup
import torch

from nml.pretraining.mixing import mix

IMAGES = torch.randn(8, 3, 20, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])


def ours(recipe, seed: int):
    return mix(IMAGES, LABELS, recipe, 5, torch.Generator().manual_seed(seed))


def timms(recipe, seed: int, monkeypatch):
    """Return what timm makes of the batch with the numbers that `mix` draws."""
    drawn = torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(seed)).item()
    rng, asked = np.random.default_rng(drawn), []

    def rand():
        # timm first draws whether to mix at all, here always; with one α of two it draws no more.
        asked.append(1)
        return 0.0 if len(asked) == 1 else rng.random()

    def randint(low, high, size=None):
        return rng.integers(low, high, size=size)

    numbers = SimpleNamespace(rand=rand, beta=rng.beta, randint=randint)
    patched = SimpleNamespace(**{name: getattr(np, name) for name in ("sqrt", "clip")}, random=numbers)
    monkeypatch.setattr(timm.data.mixup, "np", patched)
    options = {"mixup_alpha": recipe.mixup, "cutmix_alpha": recipe.cutmix, "label_smoothing": recipe.label_smoothing}
    return timm.data.mixup.Mixup(**options, num_classes=5)(IMAGES.clone(), LABELS)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changes", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0, "label_smoothing": 0.1}], ids=str
)
def test_images_and_targets_are_timms(recipe, changes, seed, monkeypatch):
    made = recipe(**changes)
    images, targets = ours(made, seed)
    expected_images, expected_targets = timms(made, seed, monkeypatch)
    torch.testing.assert_close(images, expected_images)
    torch.testing.assert_close(targets, expected_targets)


def test_both_kinds_come_about_equally_often(recipe):
    made = recipe(mixup=0.5, cutmix=1.0)
    # A cut batch keeps pixels as they are; a mixed one changes nearly all of them.
    cut = sum((ours(made, seed)[0] == IMAGES).double().mean().item() > 0.02 for seed in range(200))
    assert 60 < cut < 140


def test_targets_are_shares(recipe):
    for seed in range(20):
        _, targets = ours(recipe(mixup=0.5, cutmix=1.0), seed)
        assert targets.shape == (8, 5) and (targets >= 0).all()
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))


def test_the_batch_is_not_changed_in_place(recipe):
    before = IMAGES.clone()
    ours(recipe(cutmix=1.0), 0)
    ours(recipe(mixup=1.0), 0)
    assert torch.equal(IMAGES, before)


def test_without_either_nothing_is_mixed_or_drawn(recipe):
    draws = torch.Generator().manual_seed(0)
    before = draws.get_state()
    images, targets = mix(IMAGES, LABELS, recipe(), 5, draws)
    assert images is IMAGES and targets is LABELS
    assert torch.equal(draws.get_state(), before)


def test_an_odd_batch_is_mixed_too(recipe):
    images, targets = mix(IMAGES[:7], LABELS[:7], recipe(mixup=1.0), 5, torch.Generator())
    torch.testing.assert_close(images[3], IMAGES[3])
    assert targets[3].argmax() == LABELS[3]
