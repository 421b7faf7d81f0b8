"""The optimisers are the libraries' own, with the recipe's values in the right places."""

import pytest
import timm.optim
import torch

from nml.pretraining.model import build_model
from nml.pretraining.optimisers import make_optimizer


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2))


def take_steps(net, optimizer, clip: float | None = None) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        optimizer.zero_grad()
        net(10 * torch.randn(8, 6, generator=generator)).square().sum().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


def test_norms_and_biases_are_not_decayed(recipe):
    net = build_model(recipe(), "resnet-mini", 3, seed=0)
    decayed, plain = make_optimizer(net, recipe(weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3 and plain["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"]) and all(p.ndim <= 1 for p in plain["params"])


@pytest.mark.parametrize("name", ["adamw", "lamb", "sgd"])
def test_everything_is_decayed_if_the_recipe_says_so(recipe, name):
    net = model()
    groups = make_optimizer(net, recipe(optimizer=name, weight_decay=0.3, decay_all=True)).param_groups
    assert sum(len(group["params"]) for group in groups if group["weight_decay"] == 0.3) == len(list(net.parameters()))
    take_steps(net, make_optimizer(net, recipe(optimizer=name, decay_all=True)))


def test_lamb_takes_the_steps_of_timms_with_its_own_clipping(recipe):
    """RSB clips inside timm's LAMB (`max_grad_norm`); here the engine clips before it."""
    made = recipe(optimizer="lamb", learning_rate=0.02, weight_decay=0.02, epsilon=1e-6)
    ours, theirs = model(), model()
    groups = timm.optim.param_groups_weight_decay(theirs, 0.02)
    reference = timm.optim.Lamb(groups, lr=0.02, eps=1e-6, max_grad_norm=1.0)
    for a, b in zip(take_steps(ours, make_optimizer(ours, made), 1.0), take_steps(theirs, reference), strict=True):
        torch.testing.assert_close(a, b)


def test_sgd_takes_the_steps_of_torchvision_s_reference_script(recipe):
    made = recipe(optimizer="sgd", learning_rate=1e-3, weight_decay=1e-2, momentum=0.9, decay_all=True)
    ours, theirs = model(), model()
    reference = torch.optim.SGD(theirs.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-2)
    for a, b in zip(take_steps(ours, make_optimizer(ours, made)), take_steps(theirs, reference), strict=True):
        torch.testing.assert_close(a, b)
