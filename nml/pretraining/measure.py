"""How fast a recipe trains on this machine: some seconds of real steps on made-up images, as `nml plan` needs it.

`python -m nml.pretraining.measure <configuration> <recipe> <file>` writes what it finds to a JSON file.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from nml import plugins
from nml.artifacts import write_json
from nml.config.load import load_config
from nml.config.recipes import Recipe
from nml.config.schema import Config
from nml.corpora.catalogue import Corpus, classes_file
from nml.corpora.class_names import read_names
from nml.devices import describe_device, limit_threads, peak_memory
from nml.errors import UserError
from nml.pretraining.model import parallel
from nml.pretraining.run import Run
from nml.pretraining.state import State, begin
from nml.pretraining.step import train_step
from nml.pretraining.world import ALONE

SECONDS = 5.0
WARM_UP_STEPS, FEWEST_STEPS = 2, 3


def measure(recipe: Recipe, name: str, num_classes: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Train a model for some seconds on one batch; return what is found, as JSON can hold it.

    A batch that does not fit into the memory of one GPU is halved until it does: the recipe's is that of all processes.

    Returns
    -------
    dict with `recipe`, `device`, `batch_size`, `steps`, `images_per_second` and `peak_memory_bytes`

    Raises
    ------
    UserError
        If not even two images fit into the memory.
    """
    size = recipe.batch_size
    while (found := _measured_if_it_fits(recipe, name, num_classes, size, seconds)) is None:
        if size < 4:
            raise UserError(f"the recipe '{name}' does not fit into the memory, not even with {size} images.")
        size //= 2
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    about = {"recipe": json.loads(recipe.model_dump_json()), "device": describe_device(), "batch_size": size}
    return about | found | {"peak_memory_bytes": peak_memory()}


def _measured_if_it_fits(
    recipe: Recipe, name: str, num_classes: int, size: int, seconds: float
) -> dict[str, float] | None:
    # What did not fit is let go of with the error, whose traceback holds it.
    with suppress(torch.OutOfMemoryError):
        return _measured(recipe, name, num_classes, size, seconds)
    return None


def _measured(recipe: Recipe, name: str, num_classes: int, size: int, seconds: float) -> dict[str, float]:
    corpus = Corpus("made up", {}, [f"class {label}" for label in range(num_classes)], [], ())
    run = Run(f"measuring {name}", corpus, Path(), recipe, name, 0, Path(), "")
    state = begin(run, ALONE)
    model = parallel(recipe, state.model, ALONE).train()
    batch = _batch(run, size)
    _seconds_of(run, model, state, batch, WARM_UP_STEPS)
    one = _seconds_of(run, model, state, batch, 1)
    steps = max(FEWEST_STEPS, round(seconds / one))
    return {"steps": steps, "images_per_second": steps * size / _seconds_of(run, model, state, batch, steps)}


def _batch(run: Run, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise as images, uint8 [size, 3, side, side], and targets of the recipe's kind, on the device."""
    side = run.architecture.image_size
    images = torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8)
    if run.objective.TARGET == "label":
        targets: list[Any] = [number % len(run.corpus.class_names) for number in range(size)]
    else:
        targets = [f"a picture of the thing with number {number}" for number in range(size)]
    return ALONE.send(images), ALONE.send(run.objective.collate(targets, run.architecture.context_length))


def _seconds_of(
    run: Run, model: torch.nn.Module, state: State, batch: tuple[torch.Tensor, torch.Tensor], steps: int
) -> float:
    images, targets = batch
    started = time.perf_counter()
    for _ in range(steps):
        train_step(run, model, state, images, targets, len(images), ALONE)
    # Reading a number waits for all that is under way on a GPU.
    state.sums.tolist()
    return time.perf_counter() - started


def _num_classes(config: Config, name: str) -> int:
    """Return the classes of the first corpus that the recipe is for; 0 where there are none."""
    corpus = next(family.corpus for family in config.pretraining if family.recipe == name)
    entry = plugins.corpora()[corpus]
    return len(read_names(classes_file(entry))) if "labels" in entry["has"] else 0


def main(configuration: str, name: str, out: str) -> None:
    """Measure one recipe of a configuration, with as many threads as its jobs have, and write what is found."""
    limit_threads(1)
    config = load_config(configuration)
    found = measure(config.recipes[name], name, _num_classes(config, name))
    write_json(out, found)
    gigabytes, device = found["peak_memory_bytes"] / 1e9, found["device"]
    print(
        f"{name}: {found['images_per_second']:,.0f} images/s in batches of {found['batch_size']}, {gigabytes:.1f} GB, "
        f"on {device['count']} × {device['device']}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
