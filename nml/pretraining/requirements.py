"""What a training must have; without it, it stops and says why."""

import torch
from torch import nn

from nml.errors import UserError
from nml.pretraining.inputs import preprocessing_of, to_input
from nml.pretraining.run import Run
from nml.pretraining.state import State
from nml.pretraining.world import World


def require_time_after_warmup(run: Run, epoch_steps: int) -> None:
    """Stop where the warm-up is as long as the training."""
    steps = run.recipe.epochs * epoch_steps
    if (run.recipe.warmup_steps or 0) >= steps:
        raise UserError(
            f"{run.label}: recipes.{run.recipe_name}.warmup_steps is {run.recipe.warmup_steps}, and the whole training "
            f"takes {steps} steps on this corpus. Allowed: fewer than {steps}."
        )


def require_samples_for_all(run: Run, smallest: int, world: World) -> None:
    """Stop where the smallest batch has fewer samples than there are processes."""
    if smallest < world.size:
        raise UserError(
            f"{run.label}: a batch of {smallest} samples (recipes.{run.recipe_name}.batch_size is "
            f"{run.recipe.batch_size}, of all processes together) leaves some of the {world.size} processes without "
            f"any. Allowed: at least {world.size}, or fewer GPUs for rule pretrain."
        )


@torch.no_grad()
def require_test_size(run: Run, model: nn.Module, world: World) -> None:
    """Stop where test images have another size than training images and the model cannot take one, a blank one."""
    how = run.recipe.image_transform
    if how is None or how.test_size in (None, how.size):
        return
    blank = torch.zeros(1, 3, how.test_size, how.test_size, dtype=torch.uint8, device=world.device)
    try:
        run.architecture.features(model.eval())(to_input(blank, preprocessing_of(run.recipe)))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{run.label}: recipes.{run.recipe_name}.image_transform.test_size is {how.test_size}, and "
            f"{run.recipe.architecture}, built for {how.size} pixels, cannot take images of that size ({error}). "
            f"Allowed: {how.size}, or another architecture."
        ) from None


def require_finite(run: Run, state: State, world: World) -> None:
    """Stop all processes where the loss or a weight of one is not finite; every process must call it."""
    # The last step's loss is that of the weights before it.
    finite = torch.stack([tensor.isfinite().all() for tensor in (state.sums, *state.model.parameters())]).all()
    if world.add(1 - finite.int()):
        raise UserError(
            f"{run.label}: the loss or a weight became infinite or NaN in epoch {state.epoch + 1}. The last good state "
            f"is kept in {run.progress_dir}. Lower recipes.{run.recipe_name}.learning_rate (now "
            f"{run.recipe.learning_rate})."
        )
