"""One optimiser step: from a batch as it was loaded to changed weights."""

import torch
from torch import nn

from nml.pretraining.images import augment, normalise
from nml.pretraining.inputs import standardise
from nml.pretraining.micro_batches import autocast, count_parts
from nml.pretraining.mixing import mix
from nml.pretraining.run import Run
from nml.pretraining.state import State
from nml.pretraining.world import World


def train_step(
    run: Run, model: nn.Module, state: State, images: torch.Tensor, targets: torch.Tensor, size: int, world: World
) -> None:
    """Take one optimiser step on this process' part of a batch of `size` samples, which lies on its device."""
    images = _training_input(run, images, state.draws)
    images, targets = mix(images, targets, run.recipe, len(run.corpus.class_names), state.draws)
    if not run.recipe.channels_last:
        images = images.contiguous()
    state.optimizer.zero_grad(set_to_none=True)
    loss, right = _backward(run, model, images, targets, size, world)
    if run.recipe.gradient_clip:
        nn.utils.clip_grad_norm_(model.parameters(), run.recipe.gradient_clip)
    state.optimizer.step()
    if state.average:
        state.average.update(state.model)
    state.sums += torch.stack([loss.detach() * len(images), right])


def _backward(
    run: Run, model: nn.Module, images: torch.Tensor, targets: torch.Tensor, size: int, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the gradient of this process' part of a batch; return its mean loss and number of right predictions."""
    # Gradients are averaged over the processes, and a part may be one sample larger than another.
    parts, weight = count_parts(run.recipe, size, world), world.size / size
    if parts > 1:
        split = list(zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True))
        return run.objective.accumulate(model, split, run.recipe, weight, world)
    with autocast(run.recipe, images.device):
        loss, right = run.objective.loss(model, images, targets, run.recipe, world)
    (loss * (len(images) * world.size / size)).backward()
    return loss, right


def _training_input(run: Run, images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Return what the model is to learn from; photographs were changed one by one when they were read."""
    if how := run.recipe.image_transform:
        return standardise(images, how.mean, how.std)
    return augment(normalise(images, run.architecture.image_size), run.recipe.augmentation, draws)
