"""Tuning that changes the encoder: all of it, or adapters in it, with a linear head; one network a seed.

The encoder stays in evaluation mode, without dropout or stochastic depth, so that it is a function of its weights and
images alone; only its batch norms may be told to train. Whatever is drawn (the head, the order of the samples, the
changes of the images) comes from the seed, the epoch and the step: a resumed run ends with the same bits on the CPU.

Gradients of large batches are made in parts: the features of all parts first, from these the loss and its gradient in
the features, then part by part the gradient in the weights. So a loss that looks at the whole batch, as NMTune's does,
is exact however few images fit on the device. Batch norms that are trained see one part at a time.

Test labels are no argument of anything here.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from nml import encoders
from nml.devices import choose_device
from nml.encoders import LoadedEncoder
from nml.encoders.load import checkpoint_path
from nml.errors import UserError
from nml.plugins import COMMON_PARAMETERS
from nml.preemption import Preempted, asked, deferred
from nml.pretraining.checkpoints import load_tensors, read_header, restore_training_state, save_tensors, training_state
from nml.progress import Progress
from nml.seeds import derive_seed
from nml.tasks.task import facts, open_task
from nml.tuning import registry
from nml.tuning.data import ALL
from nml.tuning.heads import BATCH_ORDER, generator
from nml.tuning.images import Images, TaskImages, read_images
from nml.tuning.network import Network
from nml.tuning.views import Arrays, Views, views_for

logger = logging.getLogger("nml")

PARAMETERS = {
    "encoder_rate": 1.0,
    "initial_head": "random",
    "crop_scale": 0.8,
    "flip": True,
    "batch_norm": "frozen",
    "micro_batch_size": 0,
    "precision": "fp32",
    "compile": False,
}
BOUNDS = {"encoder_rate": (0, None), "crop_scale": (0.01, 1), "micro_batch_size": (0, None)}
CHOICES = {
    "initial_head": ("random", "linear-probe"),
    "batch_norm": ("frozen", "trained"),
    "precision": ("fp32", "bf16"),
}

CHECKPOINT_STEPS = 500
"""The state is saved after each epoch, and in long ones every so many steps."""

STATE, RESULT = "state.safetensors", "result.safetensors"


@dataclass(frozen=True)
class Tuning:
    """What tuning an encoder on a task with one method needs to know.

    Attributes
    ----------
    label : str
        What the lines of progress start with.
    name, method : str
        The entry of the configuration, and the method that it is or is a variant of.
    parameters : mapping
        The method's own hyper-parameters, all of them.
    open_encoder : callable
        Returns the encoder as it was pre-trained, a new copy each time.
    images : TaskImages
    views : Views
        How they become the encoder's input.
    progress_dir : Path
        Where the state is kept until all is done.
    fingerprint : str
        Names everything else that shapes the result: encoder, data, code, threads.
    fraction : int
        Percent of the task's training images, per class, that `images` has.
    """

    label: str
    name: str
    method: str
    learning_rate: float
    weight_decay: float
    epochs: int
    batch_size: int
    parameters: Mapping[str, Any]
    open_encoder: Callable[[], LoadedEncoder]
    images: TaskImages
    views: Views
    progress_dir: Path
    fingerprint: str = ""
    fraction: int = ALL

    def on(self, fraction: int) -> "Tuning":
        """Return the same on a percentage of the training images of each class."""
        if fraction == self.fraction:
            return self
        return replace(self, images=self.images.part(fraction), fraction=fraction)

    @property
    def micro_batch_size(self) -> int:
        return self.parameters["micro_batch_size"] or self.batch_size

    @cached_property
    def original(self) -> LoadedEncoder:
        """The encoder as it was pre-trained; nothing changes it."""
        return self.open_encoder()

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.images.train.labels) // self.batch_size)

    def describe(self, seed: int) -> str:
        """Name all that shapes the result of a seed; a state of another description is not resumed."""
        own = (self.method, self.learning_rate, self.weight_decay, self.epochs, self.batch_size, self.fraction)
        return f"{own} {sorted(self.parameters.items())} {seed} {self.fingerprint}"


@dataclass(frozen=True)
class TunedSplit:
    """Predictions int64 [N] and tuned features float32 [N, D] of one test set."""

    predictions: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class TunedEncoder:
    """What came of one seed.

    Attributes
    ----------
    tests : dict of TunedSplit, by test set
    epoch : int
        The epoch whose weights were kept, from 1.
    validation_accuracy : float
        Accuracy of the kept weights on the validation split, a fraction.
    trainable_parameters : int
        Of encoder and head.
    log : list of dict
        For each epoch: its number, mean loss, validation accuracy and wall seconds.
    """

    tests: dict[str, TunedSplit]
    epoch: int
    validation_accuracy: float
    trainable_parameters: int
    log: list[dict[str, float]]

    @property
    def seconds(self) -> float:
        return sum(row["seconds"] for row in self.log)


def open_tuning(
    address: str,
    task: str,
    name: str,
    values: Mapping[str, Any],
    progress_dir: Path,
    code: str,
    noise_seed: int | None = None,
) -> Tuning:
    """Return what tuning an encoder on a task of the catalogue needs.

    Parameters
    ----------
    address, task, name : str
        Of the encoder, the task, and the entry of the methods.
    values : mapping
        `method`, of which the name is a variant (if not given, the name is the method's); the common hyper-parameters
        (learning_rate, weight_decay, epochs, batch_size) and the method's own.
    progress_dir : Path
    code : str
        A hash of all code that shapes the result.
    noise_seed : int or None
        `noise_seed` of the configuration, for a task with noise in its labels.

    Raises
    ------
    UserError
        If the encoder, the task or the method is not there, or a hyper-parameter is not allowed.
    """
    method = values.get("method", name)
    common = {key: values[key] for key in COMMON_PARAMETERS}
    own = {key: value for key, value in values.items() if key not in (*common, "method")}
    opened, parameters = open_task(task, noise_seed or 0), registry.complete(method, own)
    preprocessing = read_header(checkpoint_path(address))["preprocessing"]
    views = views_for(preprocessing, parameters["crop_scale"], parameters["flip"], choose_device())
    machine = f"{choose_device().type} {torch.get_num_threads()} threads torch {torch.__version__}"
    return Tuning(
        label=f"{name} {address} {task}",
        name=name,
        method=method,
        parameters=parameters,
        open_encoder=partial(encoders.load, address),
        images=read_images(opened, views, progress_dir / "images"),
        views=views,
        progress_dir=progress_dir,
        fingerprint=f"{encoders.identify(address)} {facts(opened)} {code} {machine}",
        **common,
    )


def tune(run: Tuning, seed: int) -> TunedEncoder:
    """Tune one network to the end and predict every test set, or return what an earlier run of the same made.

    Parameters
    ----------
    run : Tuning
    seed : int
        What all that is drawn starts from; head and batch order are those that a linear probe of this seed has.

    Raises
    ------
    UserError
        If the loss is not finite, or the encoder has no layer that the method could adapt.
    Preempted
        If the process was asked to stop, after its state is saved: after a step, or after the validation.
    """
    folder = run.progress_dir / f"{run.fraction}-{seed:x}"
    if (made := _read_result(folder / RESULT, run.describe(seed))) is not None:
        return made
    with _repeatable():
        network = Network(run, seed)
        state = State(network, _optimizer(run, network))
        _resume(run, seed, state, folder / STATE)
        _train(run, seed, state, folder / STATE)
        network.load_state_dict(state.best)
        result = _result(run, network, state)
    _write_result(folder / RESULT, result, run.describe(seed))
    (folder / STATE).unlink(missing_ok=True)
    return result


class EncoderBatch:
    """What a loss sees of a batch, as `nml.tuning.batch.Batch` of one head; F are made when a loss asks for them."""

    def __init__(self, original: Callable[[], Tensor], transformed: Tensor, logits: Tensor, labels: Tensor) -> None:
        self._original = original
        self.transformed, self.logits, self.labels = transformed[None], logits[None], labels[None]

    @cached_property
    def features(self) -> Tensor:
        """The original encoder's features [1, B, D] of the same images."""
        return self._original()[None]


@dataclass
class State:
    """How far a training is: all that a checkpoint holds.

    Attributes
    ----------
    epoch, step : int
        Finished epochs, and steps of the one that is under way.
    loss : float
        Sum over the samples of that epoch.
    seconds : float
        Of that epoch.
    best : dict of Tensor
        The network of the best epoch.
    best_correct, best_epoch : int
        How many validation samples it gets right, and which epoch it is of, from 1.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_correct: int = -1
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)


_NUMBERS = ("epoch", "step", "loss", "seconds", "best_correct", "best_epoch", "log")


@contextmanager
def _repeatable() -> Iterator[None]:
    """Keep what the libraries draw away from the caller's random state."""
    with torch.random.fork_rng():
        yield


def _optimizer(run: Tuning, network: Network) -> torch.optim.AdamW:
    """Return AdamW on all trained parameters, as the released code has it: with one weight decay for all."""
    rates = {"encoder": run.learning_rate * run.parameters["encoder_rate"], "head": run.learning_rate}
    groups = [
        {"params": parameters, "lr": rates[part], "peak": rates[part]}
        for part, parameters in (("encoder", network.trained), ("head", network.head))
        if parameters
    ]
    return torch.optim.AdamW(groups, weight_decay=run.weight_decay, fused=True)


def _train(run: Tuning, seed: int, state: State, file: Path) -> None:
    total = run.epochs * run.steps_per_epoch
    progress = Progress(run.label, total, done=min(state.epoch * run.steps_per_epoch + state.step, total - 1))
    with deferred():
        while state.epoch < run.epochs:
            _train_epoch(run, seed, state, file, progress)
            _finish_epoch(run, state)
            _save(file, state, run.describe(seed))


def _train_epoch(run: Tuning, seed: int, state: State, file: Path, progress: Progress) -> None:
    """Train to the end of the epoch that is under way; the last batch may be smaller."""
    with closing(_batches(run, seed, state.epoch, state.step)) as batches:
        for step in range(state.step, run.steps_per_epoch):
            started = time.perf_counter()
            _set_learning_rates(run, state.optimizer, state.epoch * run.steps_per_epoch + step)
            labels, drawn, draws = next(batches)
            state.loss += _train_step(run, state, labels, run.views.training_input(drawn, draws)) * len(labels)
            state.step = step + 1
            state.seconds += time.perf_counter() - started
            progress.advance()
            is_last = asked()
            if is_last or (state.step % CHECKPOINT_STEPS == 0 and state.step < run.steps_per_epoch):
                _save(file, state, run.describe(seed))
            if is_last:
                raise Preempted


def _batches(run: Tuning, seed: int, epoch: int, first: int) -> Iterator[tuple[np.ndarray, Arrays, int]]:
    """Yield labels, images as the host draws them, and the seed of their changes; the host is one batch ahead."""
    train = run.images.train
    order = _order(seed, epoch, len(train.labels))

    def draw(step: int) -> tuple[np.ndarray, Arrays, int]:
        rows = order[step * run.batch_size :][: run.batch_size]
        draws = derive_seed(seed, "images", epoch, step)
        return train.labels[rows], train.drawn(rows, run.views, draws), draws

    with ThreadPoolExecutor(1) as ahead:
        drawn = ahead.submit(draw, first)
        for step in range(first + 1, run.steps_per_epoch):
            batch, drawn = drawn.result(), ahead.submit(draw, step)
            yield batch
        yield drawn.result()


def _order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Return the samples' order in an epoch, counted from 0: that of a linear probe of this seed."""
    random = generator(seed, BATCH_ORDER)
    for _ in range(epoch):
        random.permutation(samples)
    return random.permutation(samples)


def _set_learning_rates(run: Tuning, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Follow a cosine to zero, without warm-up."""
    share = 0.5 * (1 + math.cos(math.pi * step / (run.epochs * run.steps_per_epoch)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _train_step(run: Tuning, state: State, labels: np.ndarray, images: Tensor) -> float:
    """Take one optimiser step; return the loss."""
    network = state.network
    state.optimizer.zero_grad(set_to_none=True)
    loss = backward(run, network, images, torch.from_numpy(labels).to(network.device))
    if not math.isfinite(loss):
        raise UserError(
            f"{run.label}: the loss became {loss} in epoch {state.epoch + 1}. "
            f"Lower methods.{run.name}.learning_rate (now {run.learning_rate})."
        )
    state.optimizer.step()
    return loss


def backward(run: Tuning, network: Network, images: Tensor, labels: Tensor) -> float:
    """Add the gradient of a batch to the parameters, however few images are computed at once; return the loss."""
    parts = images.split(run.micro_batch_size)
    if len(parts) == 1:
        loss = _loss(run, network, images, network.encode(images, training=True), labels)
        loss.backward()
        return loss.item()
    with torch.no_grad():
        features = torch.cat([network.encode(part, training=True, remember=False) for part in parts])
    features.requires_grad_(bool(network.trained))
    loss = _loss(run, network, images, features, labels)
    loss.backward()
    if network.trained:
        for part, upstream in zip(parts, features.grad.split(run.micro_batch_size), strict=True):
            network.encode(part, training=True).backward(upstream)
    return loss.item()


def _loss(run: Tuning, network: Network, images: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    @torch.no_grad()
    def original() -> Tensor:
        return torch.cat([run.original.features(part).float() for part in images.split(run.micro_batch_size)])

    batch = EncoderBatch(original, features, network.logits(features), labels)
    return registry.load(run.method).loss(batch, run.parameters).sum()


def _finish_epoch(run: Tuning, state: State) -> None:
    """Validate, keep the network if it is the best so far (the earliest of equals), and log."""
    started = time.perf_counter()
    labels = run.images.validation.labels
    predictions, _ = predict(run, state.network, run.images.validation)
    correct = int((predictions == labels).sum())
    if correct > state.best_correct:
        state.best = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
        state.best_correct, state.best_epoch = correct, state.epoch + 1
    state.log.append(
        {
            "epoch": state.epoch + 1,
            "loss": state.loss / len(run.images.train.labels),
            "validation_accuracy": correct / len(labels),
            "seconds": state.seconds + time.perf_counter() - started,
        }
    )
    state.epoch, state.step, state.loss, state.seconds = state.epoch + 1, 0, 0.0, 0.0


@torch.no_grad()
def predict(
    run: Tuning, network: Network, split: Images, allowed: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted classes int64 [N], among some alone if they are given, and the features float32 [N, D]."""
    features = [network.encode(images) for images in split.batches(run.views)]
    classes = torch.arange(run.images.num_classes) if allowed is None else torch.tensor(allowed)
    predictions = [classes[network.logits(part).cpu()[:, classes].argmax(dim=1)] for part in features]
    return torch.cat(predictions).numpy(), torch.cat(features).cpu().numpy()


def _result(run: Tuning, network: Network, state: State) -> TunedEncoder:
    return TunedEncoder(
        {
            name: TunedSplit(*predict(run, network, split, run.images.allowed.get(name)))
            for name, split in run.images.tests.items()
        },
        state.best_epoch,
        state.best_correct / len(run.images.validation.labels),
        network.trainable_parameters,
        state.log,
    )


def _save(file: Path, state: State, description: str) -> None:
    tensors = training_state(state.network, state.optimizer)
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    header = {"run": description} | {name: getattr(state, name) for name in _NUMBERS}
    save_tensors(file, tensors, header)


def _resume(run: Tuning, seed: int, state: State, file: Path) -> None:
    """Put back the state that was saved of this very run, if there is one."""
    found = _read(file, run.describe(seed))
    if found is None:
        return
    tensors, header = found
    best = {name: tensors.pop(name) for name in list(tensors) if name.startswith("best.")}
    restore_training_state(tensors, state.network, state.optimizer)
    place = state.network.device
    state.best = {name.removeprefix("best."): tensor.to(place) for name, tensor in best.items()}
    for name in _NUMBERS:
        setattr(state, name, header[name])
    logger.info("%s  resumed after epoch %d, step %d", run.label, state.epoch, state.step)


def _read(file: Path, description: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return what a file of the progress folder holds, or None if there is none of this description."""
    try:
        tensors, header = load_tensors(file)
    except FileNotFoundError:
        return None
    except SafetensorError as error:
        logger.warning("%s cannot be read (%s): starting over", file, error)
        return None
    if header["run"] == description:
        return tensors, header
    logger.info("%s is of another encoder, task, method or code: starting over", file.parent)
    shutil.rmtree(file.parent)
    return None


def _write_result(file: Path, result: TunedEncoder, description: str) -> None:
    tensors = {f"predictions.{name}": torch.from_numpy(split.predictions) for name, split in result.tests.items()}
    tensors |= {f"features.{name}": torch.from_numpy(split.features) for name, split in result.tests.items()}
    facts = ("epoch", "validation_accuracy", "trainable_parameters", "log")
    save_tensors(file, tensors, {"run": description} | {name: getattr(result, name) for name in facts})


def _read_result(file: Path, description: str) -> TunedEncoder | None:
    found = _read(file, description)
    if found is None:
        return None
    tensors, header = found
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    names = [name.removeprefix("predictions.") for name in arrays if name.startswith("predictions.")]
    tests = {name: TunedSplit(arrays[f"predictions.{name}"], arrays[f"features.{name}"]) for name in names}
    return TunedEncoder(tests, **{key: value for key, value in header.items() if key != "run"})
