"""The supervised losses are timm's and PyTorch's."""

import pytest
import timm.loss
import torch
from torch import nn

from nml.pretraining import supervised
from nml.pretraining.world import ALONE

LOGITS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
MIXED = torch.softmax(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), dim=1)


def loss_of(recipe, targets=LABELS):
    return supervised.loss(nn.Identity(), LOGITS, targets, recipe, ALONE)


def test_cross_entropy(recipe):
    mean, right = loss_of(recipe())
    assert mean == nn.CrossEntropyLoss()(LOGITS, LABELS)
    assert right == (LOGITS.argmax(dim=1) == LABELS).sum()


def test_smoothed_cross_entropy_is_timms(recipe):
    expected = timm.loss.LabelSmoothingCrossEntropy(0.1)(LOGITS, LABELS)
    torch.testing.assert_close(loss_of(recipe(label_smoothing=0.1))[0], expected)


def test_mixed_cross_entropy_is_timms_and_not_smoothed_again(recipe):
    expected = timm.loss.SoftTargetCrossEntropy()(LOGITS, MIXED)
    torch.testing.assert_close(loss_of(recipe(label_smoothing=0.1), MIXED)[0], expected)


@pytest.mark.parametrize("threshold", [None, 0.2])
@pytest.mark.parametrize("targets", [LABELS, MIXED], ids=["labels", "mixed"])
def test_binary_cross_entropy_is_that_of_each_class_on_its_own(recipe, targets, threshold):
    shares = nn.functional.one_hot(targets, 5) * 0.9 + 0.02 if targets.ndim == 1 else targets
    shares = shares.float() if threshold is None else (shares > threshold).float()
    expected = -(shares * LOGITS.sigmoid().log() + (1 - shares) * (-LOGITS).sigmoid().log()).mean()
    found, _ = loss_of(recipe(loss="bce", bce_threshold=threshold, label_smoothing=0.1), targets)
    torch.testing.assert_close(found, expected)


def test_of_mixed_targets_the_largest_share_is_right(recipe):
    assert loss_of(recipe(), MIXED)[1] == (LOGITS.argmax(dim=1) == MIXED.argmax(dim=1)).sum()
