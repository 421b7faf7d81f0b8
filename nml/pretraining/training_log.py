"""What a training says of itself: its facts beside the progress bar, and a row an epoch, as CSV."""

import csv
import io
from pathlib import Path

import torch

from nml.artifacts import write_text
from nml.pretraining.epoch_plan import share_of
from nml.pretraining.run import Run
from nml.pretraining.schedules import learning_rate
from nml.pretraining.state import State
from nml.pretraining.world import World

LOG = "log.csv"


def facts_so_far(state: State, sizes: list[int], world: World) -> str:
    """Say how the epoch goes so far; the loss and the accuracy are those of this process' samples."""
    loss, right = (state.sums / own_samples(state, sizes, world)).tolist()
    speed = speed_so_far(state, sizes)
    return (
        f"loss {loss:.3f}, accuracy {right:.1%}, {speed['images_per_second']:,.0f} images/s, "
        f"{speed['data_share']:.0%} of the time waiting for data"
    )


def own_samples(state: State, sizes: list[int], world: World) -> int:
    """Return how many samples of the epoch this process has seen."""
    return sum(share_of(size, world.rank, world.size) for size in sizes[: state.step])


def speed_so_far(state: State, sizes: list[int]) -> dict[str, float]:
    """Return the images a second of all processes in the epoch so far, and the share of its time spent on waiting."""
    seen = sum(sizes[: state.step])
    return {"images_per_second": seen / state.seconds, "data_share": state.waited / state.seconds}


def log_row(run: Run, state: State, sizes: list[int], world: World) -> dict[str, float]:
    """Return the row of the epoch that ends, with `sums` of all processes; every process must call it."""
    samples = sum(sizes)
    loss_sum, right = state.sums.tolist()
    return {
        "epoch": state.epoch + 1,
        "loss": loss_sum / samples,
        "accuracy": right / samples,
        "learning_rate": learning_rate(run.recipe, state.epoch + 1, len(sizes)),
        **speed_so_far(state, sizes),
        "seconds": state.seconds,
        "corrupt": int(world.add(torch.tensor(state.corrupt, device=world.device))),
    }


def summary(row: dict[str, float]) -> str:
    """Say a row in one line."""
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.3f}, accuracy {row['accuracy']:.1%}, "
        f"validation {row['validation_accuracy']:.1%}, {row['images_per_second']:,.0f} images/s, "
        f"{row['data_share']:.0%} of the time waiting for data"
    )


def write_log(folder: Path, log: list[dict[str, float]]) -> None:
    """Write the rows of a log to `<folder>/log.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, log[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_text(folder / LOG, text.getvalue())
