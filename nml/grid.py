"""Addresses of everything the study makes: noise, encoders, cells, and the files they live in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from nml.errors import UserError

CLEAN = "clean"
UNTRAINED = "untrained"
RELEASED = "released"
"""The noise word of encoders that others have trained and released: how noisy their data was is not known."""
ZOO = "zoo"
"""What stands for the corpus in the address of a released encoder."""
_NOISE = re.compile(r"(?P<kind>[a-z][a-z-]*?)-(?P<percent>\d+(\.\d+)?)")
_TASK = re.compile(r"(?P<name>[^/+@]+)(\+(?P<noise>[^/+@]+-\d[^/+@]*))?(@(?P<fraction>[1-9]\d?))?")
_ADDRESS = re.compile(r"(?P<corpus>[^/]+)/(?P<recipe>[^/]+)/(?P<noise>[^/]+)/s(?P<seed>0|[1-9]\d*)")


@dataclass(frozen=True, order=True)
class Noise:
    """How a corpus' supervision is corrupted: a kind, and the percent of samples it changes."""

    kind: str = CLEAN
    percent: float = 0

    def __str__(self) -> str:
        return f"{self.kind}-{self.percent:g}" if self.percent else self.kind

    @classmethod
    def parse(cls, text: str) -> Noise:
        """Read `clean`, `untrained`, `released` or `<kind>-<percent>`, such as `symmetric-20` or `asymmetric-2.5`."""
        if text in (CLEAN, UNTRAINED, RELEASED):
            return cls(text)
        match = _NOISE.fullmatch(text)
        if not match or not 0 < float(match["percent"]) < 100:
            raise UserError(
                f"noise '{text}' is not an address. Allowed: '{CLEAN}', '{UNTRAINED}', '{RELEASED}' or "
                "<kind>-<percent> with a percent between 0 and 100, for example 'symmetric-20'."
            )
        noise = cls(match["kind"], float(match["percent"]))
        if str(noise) != text:
            raise UserError(f"noise '{text}' is written '{noise}', so that each has one address.")
        return noise


@dataclass(frozen=True, order=True)
class Encoder:
    """One checkpoint: corpus / recipe / noise / seed."""

    corpus: str
    recipe: str
    noise: Noise
    seed: int

    def __str__(self) -> str:
        return f"{self.corpus}/{self.recipe}/{self.noise}/s{self.seed}"

    @classmethod
    def parse(cls, address: str) -> Encoder:
        """Read an address such as `emoji/resnet-mini/symmetric-20/s0`."""
        match = _ADDRESS.fullmatch(address)
        if not match:
            raise UserError(
                f"encoder address '{address}' is not <corpus>/<recipe>/<noise>/s<seed>, "
                "for example 'emoji/resnet-mini/symmetric-20/s0'."
            )
        return cls(match["corpus"], match["recipe"], Noise.parse(match["noise"]), int(match["seed"]))

    @classmethod
    def released(cls, model: str) -> Encoder:
        """Return the encoder `zoo/<model>/released/s0`."""
        return cls(ZOO, model, Noise(RELEASED), 0)

    @property
    def is_trained(self) -> bool:
        """Whether it is pre-trained here: no untrained control, and no encoder that others released."""
        return self.noise.kind not in (UNTRAINED, RELEASED)

    def identity(self) -> dict[str, str | float | int]:
        """Return the columns that name this encoder in every table."""
        return {
            "corpus": self.corpus,
            "recipe": self.recipe,
            "noise_kind": self.noise.kind,
            "noise_percent": float(self.noise.percent),
            "pretrain_seed": self.seed,
        }


@dataclass(frozen=True, order=True)
class TaskAddress:
    """A downstream task: its name in the catalogue, its label noise, and the percent of its training split.

    The noise is in the training and validation labels; the test labels stay clean.
    """

    name: str
    noise: Noise = Noise()
    fraction: int = 100

    def __str__(self) -> str:
        noise = f"+{self.noise}" if self.noise.percent else ""
        return self.name + noise + (f"@{self.fraction}" if self.fraction < 100 else "")

    @classmethod
    def parse(cls, text: str) -> TaskAddress:
        """Read `<name>[+<noise>][@<percent>]`, such as `cifar10`, `cifar10+symmetric-20` or `cifar10@25`."""
        if not (match := _TASK.fullmatch(text)):
            raise UserError(
                f"task '{text}' is not <name>[+<kind of noise>-<percent>][@<whole percent of the training split>], "
                "for example 'cifar10', 'cifar10+symmetric-20' or 'cifar10@25'."
            )
        return cls(match["name"], Noise.parse(match["noise"] or CLEAN), int(match["fraction"] or 100))


def encoder_dir(encoder: Encoder | str) -> PurePosixPath:
    """`results/encoders/<corpus>/<recipe>/<noise>/s<seed>`."""
    return PurePosixPath("results/encoders", str(encoder))


def cell_path(encoder: Encoder | str, task: str, method: str) -> PurePosixPath:
    """`results/cells/<encoder>/<task>/<method>.parquet`."""
    return PurePosixPath("results/cells", str(encoder), task, f"{method}.parquet")


def spectrum_path(encoder: Encoder | str, task: str) -> PurePosixPath:
    """`results/spectra/<encoder>/<task>.parquet`."""
    return PurePosixPath("results/spectra", str(encoder), f"{task}.parquet")
