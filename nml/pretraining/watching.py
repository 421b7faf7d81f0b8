"""Watching a training in TensorBoard and Weights & Biases. Nothing here changes a result."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nml.errors import UserError
from nml.seeds import derive_seed

LOGS = Path("results/logs")
STEPS_APART = 50
"""Steps between two points of the curves inside an epoch."""

Show = Callable[[int, dict[str, float]], None]
"""Shows values by name at a step."""


@dataclass(frozen=True)
class Subject:
    """The training that is watched.

    Attributes
    ----------
    label : str
        The encoder's address.
    identity : str
        What tells this training from another one of the same encoder, such as with another recipe.
    settings : dict
        Its hyper-parameters.
    step : int
        Where it begins; above 0 where it was resumed.
    """

    label: str
    identity: str
    settings: dict[str, Any]
    step: int = 0


@dataclass
class Watcher:
    """Hands the values of a training to the tools that show them; without tools, it costs nothing."""

    tools: list[Show] = field(default_factory=list)
    _before: torch.Tensor | None = None
    _samples: int = 0

    def is_due(self, step: int) -> bool:
        """Tell whether the curves get a point at this step."""
        return bool(self.tools) and step % STEPS_APART == 0

    def show_steps(self, step: int, sums: torch.Tensor, samples: int, others: dict[str, float]) -> None:
        """Show the means since the last point of this epoch.

        Parameters
        ----------
        step : since the training began
        sums : tensor [2], loss times samples, and right predictions, of the epoch so far
        samples : of the epoch so far
        others : values that are shown as they are
        """
        new = self._before is None or samples <= self._samples
        before, counted = (torch.zeros_like(sums), 0) if new else (self._before, self._samples)
        loss, right = ((sums - before) / (samples - counted)).tolist()
        self._before, self._samples = sums.clone(), samples
        self._show(step, {"steps/loss": loss, "steps/accuracy": right, **{f"steps/{k}": v for k, v in others.items()}})

    def show_epoch(self, step: int, row: dict[str, float]) -> None:
        """Show an epoch's row of the log."""
        self._show(step, {f"epochs/{name}": value for name, value in row.items()})

    def _show(self, step: int, values: dict[str, float]) -> None:
        for tool in self.tools:
            tool(step, values)


@contextmanager
def watching(tools: Sequence[str], subject: Subject) -> Iterator[Watcher]:
    """Open the tools of these names, `tensorboard` or `wandb`, for one training, and close them after it."""
    with ExitStack() as stack:
        yield Watcher([stack.enter_context(TOOLS[name](subject)) for name in tools])


@contextmanager
def _tensorboard(subject: Subject) -> Iterator[Show]:
    """Write event files; of a training that was resumed, points after the place where it goes on are taken back."""
    from torch.utils.tensorboard import SummaryWriter

    folder = LOGS / "tensorboard" / subject.label
    if not subject.step:
        shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder), purge_step=subject.step + 1 if subject.step else None) as writer:

        def show(step: int, values: dict[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield show


@contextmanager
def _wandb(subject: Subject) -> Iterator[Show]:
    """Log to a run of Weights & Biases, which goes on where the training does; its settings are in the environment."""
    import wandb

    LOGS.mkdir(parents=True, exist_ok=True)
    run_id = f"{derive_seed(subject.label, subject.identity):x}"
    project = os.environ.get("WANDB_PROJECT", "nml")
    own = {"project": project, "name": subject.label, "id": run_id, "resume": "allow", "dir": LOGS}
    try:
        # The job has a log of its own.
        run = wandb.init(**own, config=subject.settings, settings=wandb.Settings(console="off"))
    except wandb.errors.Error as error:
        raise UserError(
            f"{subject.label}: Weights & Biases cannot be used: {error}. Set WANDB_API_KEY, or WANDB_MODE=offline, "
            "or take wandb out of `watch`."
        ) from None
    with run:
        yield lambda step, values: run.log(values, step=step)


TOOLS = {"tensorboard": _tensorboard, "wandb": _wandb}
