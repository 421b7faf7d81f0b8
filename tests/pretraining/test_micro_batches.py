"""A batch in parts has the gradient of the whole."""

from types import SimpleNamespace

import pytest
import torch

from nml.pretraining.micro_batches import count_parts
from nml.pretraining.model import build_model
from nml.pretraining.run import OBJECTIVES
from nml.pretraining.step import _backward
from nml.pretraining.world import ALONE, World


def gradients(recipe, changes, training: bool = False):
    """Return loss, hits, gradients and buffers after the backward pass of one batch of 10."""
    model = build_model(recipe, recipe.architecture, 3, seed=0).train(training)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(10, 3, 32, 32, generator=generator)
    high, shape = (3, (10,)) if recipe.objective == "supervised" else (49408, (10, 24))
    targets = torch.randint(high, shape, generator=generator)
    made = recipe.model_copy(update=changes)
    run = SimpleNamespace(recipe=made, objective=OBJECTIVES[made.objective])
    loss, right = _backward(run, model, images, targets, 10, ALONE)
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return loss.detach(), right, found, dict(model.named_buffers())


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
@pytest.mark.parametrize("micro", [2, 3, 4, 9])
def test_the_gradient_is_that_of_the_whole_batch(recipe, objective, micro):
    # In evaluation mode, since batch norms see the micro batch.
    whole = gradients(recipe(objective), {})
    parts = gradients(recipe(objective), {"micro_batch_size": micro})
    torch.testing.assert_close(parts[0], whole[0])
    assert parts[1] == whole[1]
    for name, gradient in whole[2].items():
        torch.testing.assert_close(parts[2][name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_the_temperature_has_the_gradient_of_the_whole_batch(recipe):
    whole, parts = (gradients(recipe("contrastive"), {"micro_batch_size": micro}) for micro in (None, 2))
    assert whole[2]["logit_scale"].abs() > 1e-4
    torch.testing.assert_close(parts[2]["logit_scale"], whole[2]["logit_scale"])


def test_batch_norms_count_each_micro_batch_once(recipe):
    for objective in ("supervised", "contrastive"):
        buffers = gradients(recipe(objective), {"micro_batch_size": 5}, training=True)[3]
        counters = [value for name, value in buffers.items() if name.endswith("num_batches_tracked")]
        assert counters and all(counter == 2 for counter in counters)


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_bf16_is_near_fp32(recipe, objective):
    exact, near = (gradients(recipe(objective), {"precision": name}) for name in ("fp32", "bf16"))
    torch.testing.assert_close(near[0].float(), exact[0], rtol=0.02, atol=0.02)
    assert near[0] != exact[0]


@pytest.mark.parametrize(
    ("size", "ranks", "micro", "parts"),
    [(16, 1, None, 1), (16, 1, 16, 1), (16, 1, 15, 2), (17, 2, 8, 2), (16, 2, 8, 1), (2048, 4, 128, 4)],
)
def test_every_process_has_the_same_number_of_parts(recipe, size, ranks, micro, parts):
    made = recipe(batch_size=size, micro_batch_size=micro)
    assert count_parts(made, size, World(0, ranks)) == parts
    assert count_parts(made, size, World(ranks - 1, ranks)) == parts
