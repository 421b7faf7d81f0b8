"""What tuning an encoder on a task with one method needs to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from nml import encoders
from nml.devices import choose_device
from nml.encoders import LoadedEncoder
from nml.encoders.load import checkpoint_path
from nml.plugins import COMMON_PARAMETERS
from nml.pretraining.checkpoints import read_header
from nml.tasks.task import facts, open_task
from nml.tuning import registry
from nml.tuning.data import ALL
from nml.tuning.whitebox.images import TaskImages, read_images
from nml.tuning.whitebox.views import Views, views_for


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
    held = f"{facts(opened)} {code} {preprocessing} {parameters['crop_scale']}"
    views = views_for(preprocessing, parameters["crop_scale"], parameters["flip"], choose_device())
    machine = f"{choose_device().type} {torch.get_num_threads()} threads torch {torch.__version__}"
    return Tuning(
        label=f"{name} {address} {task}",
        name=name,
        method=method,
        parameters=parameters,
        open_encoder=partial(encoders.load, address),
        images=read_images(opened, views, progress_dir / "images", held),
        views=views,
        progress_dir=progress_dir,
        fingerprint=f"{encoders.identify(address)} {facts(opened)} {code} {machine}",
        **common,
    )
