"""A model starts from its recipe's name and its seed."""

import torch

from nml.pretraining.model import build_model


def test_encoders_of_one_seed_start_alike_at_every_noise(recipe):
    first, again = (build_model(recipe(), "resnet-mini", 3, seed=0) for _ in range(2))
    other = build_model(recipe(), "resnet-mini", 3, seed=1)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
