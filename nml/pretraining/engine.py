"""The training loop, one for both objectives and any number of processes, resumable after any step it saved."""

import logging
import time
from functools import partial

import torch
from torch import nn

from nml.preemption import Preempted, deferred
from nml.pretraining.data import TrainingData
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.micro_batches import count_parts
from nml.pretraining.model import parallel
from nml.pretraining.requirements import (
    require_finite,
    require_samples_for_all,
    require_test_size,
    require_time_after_warmup,
)
from nml.pretraining.resuming import resume, save
from nml.pretraining.run import Run
from nml.pretraining.schedules import learning_rate
from nml.pretraining.state import State, begin
from nml.pretraining.step import train_step
from nml.pretraining.training_log import facts_so_far, log_row, own_samples, speed_so_far, summary
from nml.pretraining.validation import ValidationData, validation_accuracy
from nml.pretraining.watching import Subject, Watcher, watching
from nml.pretraining.world import ALONE, Consent, World
from nml.progress import Progress
from nml.seeds import derive_seed

logger = logging.getLogger("nml")

# The state is saved after each epoch, and in long ones every so many steps: some minutes of a large model. By steps and
# not by the clock, so that all processes save at the same one.
CHECKPOINT_STEPS = 500


def train(run: Run, world: World = ALONE) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train to the end, from the last checkpoint if there is one; return the model and the log, a row an epoch.

    Raises
    ------
    UserError
        If the loss or a weight is not finite, too many images are corrupt, the data is damaged, the warm-up is longer
        than the training, a batch has fewer samples than there are processes, or the model cannot take test images.
    Preempted
        If a process was asked to stop, after all have saved their state: after a step, or after the validation.
    """
    validation = ValidationData(run.validation_corpus, run.recipe.image_transform, run.loader_workers)
    data = _training_data(run)
    sizes = even_batches(data.samples, run.recipe.batch_size)
    require_time_after_warmup(run, len(sizes))
    require_samples_for_all(run, min(sizes), world)
    state = begin(run, world)
    require_test_size(run, state.model, world)
    resume(run, state, world)
    trained = parallel(run.recipe, state.model, world)
    _say_parts(run, sizes[0], world)
    progress = Progress(run.label, run.recipe.epochs * len(sizes), done=state.epoch * len(sizes) + state.step)
    subject = Subject(run.label, run.fingerprint(world), run.recipe.model_dump(mode="json"), progress.done)
    stops = Consent(world)
    with deferred(), watching(run.watch if world.rank == 0 else (), subject) as watcher:
        while state.epoch < run.recipe.epochs:
            _train_epoch(run, data, trained, state, sizes, world, progress, watcher, stops)
            if world.size > 1:
                _save_before_validation(run, state, world, stops)
            state.sums = world.add(state.sums)
            require_finite(run, state, world)
            row = log_row(run, state, sizes, world)
            data.corrupt.require_few(row["corrupt"])
            row["validation_accuracy"] = validation_accuracy(run, state.kept, validation, world)
            state.log.append(row)
            state.epoch, state.step = state.epoch + 1, 0
            # Before it is saved: what is shown after a kill is taken back, and what is not would be missing.
            watcher.show_epoch(progress.done, row)
            save(run, state, world)
            logger.info("%s  %s", run.label, summary(row))
    return state.kept.eval(), state.log


def _save_before_validation(run: Run, state: State, world: World, stops: Consent) -> None:
    """Keep what the epoch gave: `torchrun` gives its processes some time to stop, and a validation may take longer."""
    require_finite(run, state, world)
    save(run, state, world)
    # Whoever was asked in the last step has told it there, and nobody has listened yet.
    if stops.given():
        raise Preempted


def _training_data(run: Run) -> TrainingData:
    return TrainingData(
        run.corpus,
        run.noise_dir,
        run.objective.TARGET,
        run.loader_workers,
        run.recipe.repeated_augmentation,
        run.recipe.image_transform,
        run.max_corrupt_share,
        run.label,
        partial(run.objective.collate, context_length=run.architecture.context_length),
    )


def _say_parts(run: Run, size: int, world: World) -> None:
    """Log how a batch is split, where that is not into one part a process."""
    parts = count_parts(run.recipe, size, world)
    if parts > 1:
        logger.info(
            "%s  batches of %d: %d process(es) with %d micro batches of at most %d; batch norms see a micro batch",
            *(run.label, run.recipe.batch_size, world.size, parts, run.recipe.micro_batch_size),
        )


def _begin_epoch(run: Run, state: State, world: World) -> None:
    """Set what is drawn in an epoch; each process draws its own."""
    seed = run.epoch_seed(state.epoch)
    own = derive_seed(seed, "rank", world.rank) if world.rank else seed
    torch.manual_seed(own)
    state.draws.manual_seed(own)
    state.sums.zero_()
    state.corrupt, state.seconds, state.waited = 0, 0.0, 0.0


def _train_epoch(
    run: Run,
    data: TrainingData,
    model: nn.Module,
    state: State,
    sizes: list[int],
    world: World,
    progress: Progress,
    watcher: Watcher,
    stops: Consent,
) -> None:
    """Train to the end of the epoch that is under way."""
    if not state.step:
        _begin_epoch(run, state, world)
    data.corrupt.count = state.corrupt
    batches = data.batches(sizes, run.epoch_seed(state.epoch), world, state.step)
    model.train()
    for step in range(state.step, len(sizes)):
        started = time.perf_counter()
        images, targets = next(batches)
        fetched = time.perf_counter()
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(run.recipe, state.epoch + (step + 1) / len(sizes), len(sizes))
        train_step(run, model, state, world.send(images), world.send(targets), sizes[step], world)
        state.step, state.corrupt = step + 1, data.corrupt.count
        state.seconds += time.perf_counter() - started
        state.waited += fetched - started
        progress.advance(facts=lambda: facts_so_far(state, sizes, world))
        if watcher.is_due(progress.done):
            others = speed_so_far(state, sizes) | {"learning_rate": state.optimizer.param_groups[0]["lr"]}
            watcher.show_steps(progress.done, state.sums, own_samples(state, sizes, world), others)
        is_last = stops.given()
        if is_last or (state.step % CHECKPOINT_STEPS == 0 and state.step < len(sizes)):
            require_finite(run, state, world)
            save(run, state, world)
        if is_last:
            raise Preempted
