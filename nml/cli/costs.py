"""What pre-training costs on this machine: images of each family of encoders, over images a second."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nml import plugins
from nml.cli.facts import read_facts
from nml.config.grid import encoders_of
from nml.config.recipes import Recipe
from nml.config.schema import Config
from nml.grid import Encoder, encoder_dir

MEASURED = Path("results/measured")
UNITS = {"gpu": "GPU-hours", "cpu": "core-hours"}


@dataclass(frozen=True)
class Speed:
    """How fast a recipe trains.

    Attributes
    ----------
    images_per_second : float
        Of all devices together.
    device : str
        Its name.
    kind : str
        `gpu` or `cpu`.
    count : int
        GPUs, or threads on CPUs.
    source : str
        How it is known.
    """

    images_per_second: float
    device: str
    kind: str
    count: int
    source: str

    def device_hours(self, images: int) -> float:
        """Return the hours that one of the devices would take, if their number made no difference."""
        return images / self.images_per_second * self.count / 3600


@dataclass(frozen=True)
class TrainingCost:
    """What one family's encoders, those of a corpus and a recipe, cost.

    Attributes
    ----------
    corpus, recipe : str
    missing : int
        Encoders that are yet to be trained.
    samples, epochs : int
        Of one encoder; the samples are None where nothing says how many there are.
    speed : Speed or None
        None where it is not known.
    """

    corpus: str
    recipe: str
    missing: int
    samples: int | None
    epochs: int
    speed: Speed | None

    @property
    def hours(self) -> float | None:
        """Device-hours of one encoder, as far as they are known."""
        return self.speed.device_hours(self.samples * self.epochs) if self.speed and self.samples else None


def costs_of(config: Config) -> list[TrainingCost]:
    """Return the cost of each family of trained encoders, in the order of the configuration."""
    encoders = [encoder for encoder in encoders_of(config) if encoder.is_trained]
    families = dict.fromkeys((encoder.corpus, encoder.recipe) for encoder in encoders)
    return [_cost(config, *family, [e for e in encoders if (e.corpus, e.recipe) == family]) for family in families]


def _cost(config: Config, corpus: str, name: str, encoders: list[Encoder]) -> TrainingCost:
    recipe = config.recipes[name]
    missing = sum(not Path(encoder_dir(encoder), "model.safetensors").is_file() for encoder in encoders)
    return TrainingCost(corpus, name, missing, train_samples(corpus), recipe.epochs, speed_of(name, recipe, encoders))


def train_samples(corpus: str) -> int | None:
    """Return the training samples of a corpus: by its index if it is indexed, else as its catalogue entry says."""
    manifest = Path("results/corpora", corpus, "manifest.json")
    if manifest.is_file():
        return sum(shard["samples"] for shard in read_facts(manifest)["splits"]["train"].values())
    stated = re.search(r"train (?:at most )?([\d,]+)", plugins.corpora()[corpus].get("samples", ""))
    return int(stated[1].replace(",", "")) if stated else None


def speed_of(name: str, recipe: Recipe, encoders: Iterable[Encoder]) -> Speed | None:
    """Return how fast a recipe trains: by the encoders that are there, which also waited for data, else as measured."""
    metas = [path for encoder in encoders if (path := Path(encoder_dir(encoder), "meta.json")).is_file()]
    known = [meta for meta in map(read_facts, metas) if "device" in meta and is_same(meta["recipe"], recipe)]
    if known:
        device = known[-1]["device"]
        alike = [meta["samples_per_second"] for meta in known if meta["device"] == device]
        return Speed(sum(alike) / len(alike), **device, source=f"{len(alike)} trained here")
    file = MEASURED / f"{name}.json"
    measured = read_facts(file) if file.is_file() else None
    if measured and is_same(measured["recipe"], recipe):
        return Speed(measured["images_per_second"], **measured["device"], source="measured, without loading")
    return None


def is_same(recipe: dict[str, Any], other: Recipe) -> bool:
    """Tell whether a recorded recipe has this one's steps; the number of epochs does not matter."""
    return {**recipe, "epochs": 0} == {**json.loads(other.model_dump_json()), "epochs": 0}
