"""The learning rate has the known values, and is that of the libraries' own schedules."""

import pytest
import torch
from open_clip_train.scheduler import cosine_lr
from timm.scheduler import CosineLRScheduler

from nml.pretraining.schedules import learning_rate

STEPS = 5


def rates(recipe) -> list[float]:
    """Return the learning rate of every step."""
    return [learning_rate(recipe, (step + 1) / STEPS, STEPS) for step in range(recipe.epochs * STEPS)]


def any_optimizer(rate: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=rate)


def test_it_warms_up_then_follows_a_cosine_to_zero(recipe):
    made = recipe(epochs=10, warmup_epochs=2, learning_rate=1.0)
    assert [learning_rate(made, epoch, STEPS) for epoch in (1, 2)] == [0.5, 1]
    assert learning_rate(made, 6, STEPS) == pytest.approx(0.5)
    assert learning_rate(made, 10, STEPS) == pytest.approx(0)


def test_the_cosine_ends_at_the_minimum(recipe):
    made = recipe(epochs=10, warmup_epochs=0, learning_rate=1.0, min_learning_rate=0.2)
    assert learning_rate(made, 10, STEPS) == pytest.approx(0.2)
    assert learning_rate(made, 5, STEPS) == pytest.approx(0.6)


def test_a_warm_up_in_steps_takes_so_many(recipe):
    made = recipe(epochs=10, warmup_epochs=5, warmup_steps=10, learning_rate=1.0)
    assert rates(made)[:11] == pytest.approx([*(step / 10 for step in range(1, 11)), rates(made)[10]])
    assert max(rates(made)) == rates(made)[9] == 1


def test_it_is_open_clips_from_the_second_step_of_the_cosine_on(recipe):
    made = recipe("contrastive", epochs=6, warmup_steps=10, learning_rate=0.3)
    scheduler, ours = cosine_lr(any_optimizer(), 0.3, 10, 6 * STEPS), rates(made)
    assert ours[:10] == pytest.approx([scheduler(step) for step in range(10)])
    # open_clip's first step after the warm-up has the peak once more; here the cosine begins at once.
    assert ours[10:] == pytest.approx([scheduler(step + 1) for step in range(10, 6 * STEPS)])


def test_it_is_timms_with_updates_by_step(recipe):
    made = recipe(epochs=6, warmup_epochs=0, learning_rate=0.3, min_learning_rate=1e-3)
    scheduler = CosineLRScheduler(any_optimizer(0.3), t_initial=6 * STEPS, lr_min=1e-3, t_in_epochs=False)
    assert rates(made) == pytest.approx([scheduler._get_lr(step + 1)[0] for step in range(6 * STEPS)])


def test_steps_are_those_of_torchvision_s_reference_script(recipe):
    made = recipe(epochs=9, warmup_epochs=0, schedule="step", milestones=(3, 6), decay_factor=0.1, learning_rate=0.1)
    optimizer = any_optimizer(0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.1)
    theirs = []
    for _ in range(9):
        theirs += [optimizer.param_groups[0]["lr"]] * STEPS
        optimizer.step()
        scheduler.step()
    assert rates(made) == pytest.approx(theirs)
