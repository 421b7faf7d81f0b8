"""How far a training is, from its beginning."""

from dataclasses import dataclass, field

import torch
from timm.utils import ModelEmaV3
from torch import nn

from nml.pretraining.model import build_model
from nml.pretraining.optimisers import make_optimizer
from nml.pretraining.run import Run
from nml.pretraining.world import World


@dataclass
class State:
    """How far a training is: all that a checkpoint holds.

    Attributes
    ----------
    epoch, step : int
        Finished epochs, and steps of the one that is under way.
    sums : Tensor [2]
        Loss times samples, and right predictions, of that epoch and this process.
    average : ModelEmaV3 or None
        Moving average of the weights and buffers, of a recipe that has one: then it is what is validated and kept.
    draws : torch.Generator
        What the augmentation and the mixing draw from; on the CPU.
    seconds, waited : float
        Of that epoch, as far as it is; `waited` for data.
    corrupt : int
        Corrupt images that this process met in that epoch.
    log : list of dict
        A row an epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    sums: torch.Tensor
    average: ModelEmaV3 | None = None
    draws: torch.Generator = field(default_factory=torch.Generator)
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    corrupt: int = 0
    log: list[dict[str, float]] = field(default_factory=list)

    @property
    def kept(self) -> nn.Module:
        """The model that is validated, and kept at the end."""
        return self.average.module if self.average else self.model


def begin(run: Run, world: World) -> State:
    """Return the state before the first step."""
    model = build_model(run.recipe, run.recipe_name, len(run.corpus.class_names), run.seed)
    layout = torch.channels_last if run.recipe.channels_last else torch.contiguous_format
    model = model.to(world.device, memory_format=layout)
    average = ModelEmaV3(model, run.recipe.ema_decay) if run.recipe.ema_decay else None
    return State(model, make_optimizer(model, run.recipe), torch.zeros(2, device=world.device), average)
