"""The training loop, one for both objectives and any number of processes, resumable after any step it saved."""

import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nml.artifacts import full_disk_named, sha256_file
from nml.config.defaults import MAX_CORRUPT_SHARE
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.errors import UserError
from nml.preemption import Preempted, deferred
from nml.pretraining import architectures, contrastive, supervised
from nml.pretraining.architectures import Architecture
from nml.pretraining.checkpoints import load_tensors, read_header, restore_training_state, save_tensors, training_state
from nml.pretraining.data import TrainingData
from nml.pretraining.epoch_plan import even_batches, share_of
from nml.pretraining.images import augment, normalise
from nml.pretraining.inputs import preprocessing_of, standardise, to_input
from nml.pretraining.micro_batches import autocast, count_parts
from nml.pretraining.mixing import mix
from nml.pretraining.optimisers import make_optimizer
from nml.pretraining.schedules import learning_rate
from nml.pretraining.training_log import write_log
from nml.pretraining.validation import ValidationData, accuracy
from nml.pretraining.watching import Subject, Watcher, watching
from nml.pretraining.world import ALONE, Consent, World
from nml.progress import Progress
from nml.seeds import derive_seed

logger = logging.getLogger("nml")

OBJECTIVES: dict[str, ModuleType] = {"supervised": supervised, "contrastive": contrastive}
# The state is saved after each epoch, and in long ones every so many steps: some minutes of a large model. By steps and
# not by the clock, so that all processes save at the same one.
CHECKPOINT_STEPS = 500
KEPT_CHECKPOINTS = 2
# Beside PyTorch: models, optimisers, tokens and pixels come from them.
SHAPING_LIBRARIES = ("timm", "open_clip_torch", "pillow")


@dataclass(frozen=True)
class Run:
    """What one pre-training run needs to know.

    Attributes
    ----------
    loader_workers : int
        Processes that read and change images; without any, the training process does.
    validate_on : Corpus, optional
        Whose validation split is used, and for zero-shot accuracy its class names and templates; by default `corpus`.
    max_corrupt_share : float
        Of an epoch's images, that may be corrupt. Not of what shapes the weights, so that a run that met too many can
        go on with another one.
    """

    label: str
    corpus: Corpus
    noise_dir: Path
    recipe: Recipe
    recipe_name: str
    seed: int
    progress_dir: Path
    code: str
    loader_workers: int = 0
    validate_on: Corpus | None = None
    max_corrupt_share: float = MAX_CORRUPT_SHARE
    watch: tuple[str, ...] = ()

    @property
    def validation_corpus(self) -> Corpus:
        return self.validate_on or self.corpus

    @property
    def objective(self) -> ModuleType:
        return OBJECTIVES[self.recipe.objective]

    @cached_property
    def architecture(self) -> Architecture:
        return architectures.of_recipe(self.recipe)

    def fingerprint(self, world: World) -> str:
        """Name everything that shapes the weights; progress of another fingerprint is not resumed."""
        manifest = sha256_file(self.noise_dir / "manifest.json")
        processes = (
            f"{world.size} x {world.device.type} {torch.get_num_threads()} threads {self.loader_workers} loaders"
        )
        libraries = " ".join(f"{name} {version(name)}" for name in SHAPING_LIBRARIES)
        machine = f"{processes} torch {torch.__version__} {libraries}"
        validation = self.validation_corpus.name
        return f"{self.recipe.model_dump_json()} {manifest} {self.seed} {self.code} {machine} {validation}"

    def epoch_seed(self, epoch: int) -> int:
        """Return the seed of all that is drawn in an epoch: the recipe's name, the seed and the epoch, no noise."""
        return derive_seed(self.recipe_name, f"s{self.seed}", "epoch", epoch)


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


def build_model(recipe: Recipe, recipe_name: str, num_classes: int, seed: int) -> nn.Module:
    """Return the model at its initialisation, which depends on the recipe's name and the seed alone.

    The noise is left out on purpose: encoders of one seed start from the same weights at every noise ratio, so that
    their differences come from the noise.
    """
    torch.manual_seed(derive_seed(recipe_name, f"s{seed}", "init"))
    return architectures.of_recipe(recipe).build(num_classes, recipe.drop_path)


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
    _require_time_after_warmup(run, len(sizes))
    _require_samples_for_all(run, min(sizes), world)
    state = begin(run, world)
    _require_test_size(run, state.model, world)
    _resume(run, state, world)
    trained = parallel(run, state.model, world)
    _say_parts(run, sizes[0], world)
    progress = Progress(run.label, run.recipe.epochs * len(sizes), done=state.epoch * len(sizes) + state.step)
    subject = Subject(run.label, run.fingerprint(world), run.recipe.model_dump(mode="json"), progress.done)
    stops = Consent(world)
    with deferred(), watching(run.watch if world.rank == 0 else (), subject) as watcher:
        while state.epoch < run.recipe.epochs:
            _train_epoch(run, data, trained, state, sizes, world, progress, watcher, stops)
            row = _log_row(run, state, sizes, world)
            data.corrupt.require_few(row["corrupt"])
            row["validation_accuracy"] = validation_accuracy(run, state.kept, validation, world)
            state.log.append(row)
            state.epoch, state.step = state.epoch + 1, 0
            # Before it is saved: what is shown after a kill is taken back, and what is not would be missing.
            watcher.show_epoch(progress.done, row)
            _save(run, state, world)
            logger.info("%s  %s", run.label, _summary(row))
    return state.kept.eval(), state.log


def begin(run: Run, world: World) -> State:
    """Return the state before the first step."""
    model = build_model(run.recipe, run.recipe_name, len(run.corpus.class_names), run.seed)
    layout = torch.channels_last if run.recipe.channels_last else torch.contiguous_format
    model = model.to(world.device, memory_format=layout)
    average = ModelEmaV3(model, run.recipe.ema_decay) if run.recipe.ema_decay else None
    return State(model, make_optimizer(model, run.recipe), torch.zeros(2, device=world.device), average)


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
    )


@torch.inference_mode()
def validation_accuracy(run: Run, model: nn.Module, validation: ValidationData, world: World = ALONE) -> float:
    """Return the accuracy on clean validation images, split over the processes; all of them must call it."""
    # Batch norms count on every process, and the first one's model is what is kept.
    world.share_first(model.buffers())
    classes_of = run.objective.classifier(model.eval(), run.validation_corpus, run.architecture)
    preprocessing = preprocessing_of(run.recipe)
    return accuracy(lambda images: classes_of(to_input(images, preprocessing)), validation, world)


def parallel(run: Run, model: nn.Module, world: World) -> nn.Module:
    """Return the model as all processes train it together; batch norms see the part of each."""
    if world.size > 1:
        devices = [world.local_rank] if world.device.type == "cuda" else None
        model = DistributedDataParallel(model, device_ids=devices)
    return torch.compile(model) if run.recipe.compile else model


def _require_time_after_warmup(run: Run, epoch_steps: int) -> None:
    steps = run.recipe.epochs * epoch_steps
    if (run.recipe.warmup_steps or 0) >= steps:
        raise UserError(
            f"{run.label}: recipes.{run.recipe_name}.warmup_steps is {run.recipe.warmup_steps}, and the whole training "
            f"takes {steps} steps on this corpus. Allowed: fewer than {steps}."
        )


def _require_samples_for_all(run: Run, smallest: int, world: World) -> None:
    if smallest < world.size:
        raise UserError(
            f"{run.label}: a batch of {smallest} samples (recipes.{run.recipe_name}.batch_size is "
            f"{run.recipe.batch_size}, of all processes together) leaves some of the {world.size} processes without "
            f"any. Allowed: at least {world.size}, or fewer GPUs for rule pretrain."
        )


@torch.no_grad()
def _require_test_size(run: Run, model: nn.Module, world: World) -> None:
    """Give the model a blank test image, where those have another size than training images."""
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


def _say_parts(run: Run, size: int, world: World) -> None:
    """Log how a batch is split, where that is not into one part a process."""
    parts = count_parts(run.recipe, size, world)
    if parts > 1:
        logger.info(
            "%s  batches of %d: %d process(es) with %d micro batches of at most %d; batch norms see a micro batch",
            *(run.label, run.recipe.batch_size, world.size, parts, run.recipe.micro_batch_size),
        )


def _summary(row: dict[str, float]) -> str:
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.3f}, accuracy {row['accuracy']:.1%}, "
        f"validation {row['validation_accuracy']:.1%}, {row['images_per_second']:,.0f} images/s, "
        f"{row['data_share']:.0%} of the time waiting for data"
    )


def _save(run: Run, state: State, world: World) -> None:
    """Save the state of all processes, and drop all but the last checkpoints. Every process must call it."""
    tensors = training_state(state.model, state.optimizer, _averaged(state))
    tensors |= {f"state.{name}": world.gather(tensor) for name, tensor in _own_state(state, world).items()}
    if world.rank > 0:
        return
    header: dict[str, Any] = {"run": run.fingerprint(world), "log": state.log}
    header |= {name: getattr(state, name) for name in ("epoch", "step", "seconds", "waited")}
    with full_disk_named(run.progress_dir):
        save_tensors(_checkpoint(run, state.epoch, state.step), tensors, header)
        if state.log:
            write_log(run.progress_dir, state.log)
    for old in _checkpoints(run)[KEPT_CHECKPOINTS:]:
        old.unlink()


def _own_state(state: State, world: World) -> dict[str, torch.Tensor]:
    """Return what each process has of its own, by name, on the CPU."""
    own = {"sums": state.sums.cpu(), "corrupt": torch.tensor(state.corrupt)}
    own |= {"draws": state.draws.get_state(), "torch": torch.get_rng_state()}
    # What drops out on a GPU is drawn there.
    return own | ({"cuda": torch.cuda.get_rng_state(world.device)} if world.device.type == "cuda" else {})


def _checkpoint(run: Run, epoch: int, step: int) -> Path:
    return run.progress_dir / f"{epoch:05}-{step:08}.safetensors"


def _place(checkpoint: Path) -> tuple[int, int]:
    """Return the epoch and the step of a checkpoint."""
    epoch, step = checkpoint.stem.split("-")
    return int(epoch), int(step)


def _checkpoints(run: Run) -> list[Path]:
    """Return the checkpoints of a run, the last first."""
    return sorted(run.progress_dir.glob("[0-9]*.safetensors"), reverse=True)


def _resume(run: Run, state: State, world: World) -> None:
    """Put back the last state that was saved of this very run, if there is one; every process must call it."""
    file = _agreed_checkpoint(run, world)
    if file is None:
        return
    tensors, header = load_tensors(file)
    own = {name: tensors.pop(f"state.{name}")[world.rank] for name in _own_state(state, world)}
    restore_training_state(tensors, state.model, state.optimizer, _averaged(state))
    state.sums.copy_(own["sums"])
    state.corrupt = int(own["corrupt"])
    state.draws.set_state(own["draws"])
    torch.set_rng_state(own["torch"])
    if "cuda" in own:
        torch.cuda.set_rng_state(own["cuda"], world.device)
    for name in ("epoch", "step", "seconds", "waited", "log"):
        setattr(state, name, header[name])
    logger.info("%s  resumed after epoch %d, step %d", run.label, state.epoch, state.step)


def _agreed_checkpoint(run: Run, world: World) -> Path | None:
    """Return the checkpoint to resume from: the first process chooses it for all, by its epoch and step."""
    chosen = _usable_checkpoint(run, world) if world.rank == 0 else None
    place = torch.tensor(_place(chosen) if chosen else (-1, -1), device=world.device)
    world.share_first([place])
    epoch, step = place.tolist()
    return None if epoch < 0 else _checkpoint(run, epoch, step)


def _usable_checkpoint(run: Run, world: World) -> Path | None:
    """Return the last checkpoint that can be read; remove damaged ones, and all if they are of another run.

    A damaged one would else stand before those that are saved next, and have them removed as the older ones.
    """
    for file in _checkpoints(run):
        try:
            header = read_header(file)
        except SafetensorError as error:
            logger.warning("%s  %s cannot be read (%s): taking the one before it", run.label, file, error)
            file.unlink()
            continue
        if header["run"] == run.fingerprint(world):
            return file
        logger.info("%s  %s is of another recipe, noise or code: starting over", run.label, run.progress_dir)
        shutil.rmtree(run.progress_dir, ignore_errors=True)
        return None
    return None


def _averaged(state: State) -> nn.Module | None:
    return state.average and state.average.module


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
        train_step(run, model, state, images.to(world.device), targets, sizes[step], world)
        state.step, state.corrupt = step + 1, data.corrupt.count
        state.seconds += time.perf_counter() - started
        state.waited += fetched - started
        progress.advance(facts=lambda: _facts(state, sizes, world))
        if watcher.is_due(progress.done):
            others = _speed(state, sizes) | {"learning_rate": state.optimizer.param_groups[0]["lr"]}
            watcher.show_steps(progress.done, state.sums, _own_samples(state, sizes, world), others)
        is_last = stops.given()
        if is_last or (state.step % CHECKPOINT_STEPS == 0 and state.step < len(sizes)):
            _require_finite(run, state, world)
            _save(run, state, world)
        if is_last:
            raise Preempted


def train_step(
    run: Run, model: nn.Module, state: State, images: torch.Tensor, targets: list[Any], size: int, world: World
) -> None:
    """Take one optimiser step on this process' part of a batch of `size` samples."""
    images = _training_input(run, images, state.draws)
    targets = run.objective.collate(targets, run.architecture).to(images.device)
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


def _facts(state: State, sizes: list[int], world: World) -> str:
    """Say how the epoch goes so far; the loss and the accuracy are those of this process' samples."""
    loss, right = (state.sums / _own_samples(state, sizes, world)).tolist()
    speed = _speed(state, sizes)
    return (
        f"loss {loss:.3f}, accuracy {right:.1%}, {speed['images_per_second']:,.0f} images/s, "
        f"{speed['data_share']:.0%} of the time waiting for data"
    )


def _own_samples(state: State, sizes: list[int], world: World) -> int:
    """Return how many samples of the epoch this process has seen."""
    return sum(share_of(size, world.rank, world.size) for size in sizes[: state.step])


def _speed(state: State, sizes: list[int]) -> dict[str, float]:
    """Return the images a second of all processes in the epoch so far, and the share of its time spent on waiting."""
    seen = sum(sizes[: state.step])
    return {"images_per_second": seen / state.seconds, "data_share": state.waited / state.seconds}


def _require_finite(run: Run, state: State, world: World) -> None:
    """Stop all processes where the loss or a weight of one is not finite; every process must call it."""
    # The last step's loss is that of the weights before it.
    finite = torch.stack([tensor.isfinite().all() for tensor in (state.sums, *state.model.parameters())]).all()
    if world.add(1 - finite.int()):
        raise UserError(
            f"{run.label}: the loss or a weight became infinite or NaN in epoch {state.epoch + 1}. The last good state "
            f"is kept in {run.progress_dir}. Lower recipes.{run.recipe_name}.learning_rate (now "
            f"{run.recipe.learning_rate})."
        )


def _log_row(run: Run, state: State, sizes: list[int], world: World) -> dict[str, float]:
    samples = sum(sizes)
    state.sums = world.add(state.sums)
    _require_finite(run, state, world)
    loss_sum, right = state.sums.tolist()
    return {
        "epoch": state.epoch + 1,
        "loss": loss_sum / samples,
        "accuracy": right / samples,
        "learning_rate": learning_rate(run.recipe, state.epoch + 1, len(sizes)),
        **_speed(state, sizes),
        "seconds": state.seconds,
        "corrupt": int(world.add(torch.tensor(state.corrupt, device=world.device))),
    }
