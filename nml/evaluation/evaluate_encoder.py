"""One white-box method on one (encoder, task): tune a network a seed, predict all test sets, score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nml.devices import peak_memory
from nml.evaluation.cells import Columns, joined, prediction_columns, score
from nml.evaluation.evaluate import MethodResult
from nml.evaluation.spectrum import fast_shape, mean_shapes
from nml.plugins import COMMON_PARAMETERS
from nml.tuning.data import ALL
from nml.tuning.whitebox.results import TunedEncoder
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.tune import tune


def evaluate_encoder(
    run: Tuning, seeds: Mapping[int, int], identity: Mapping[str, Any], fractions: Sequence[int] = (ALL,)
) -> MethodResult:
    """Return the cell of one method. The test labels are used for scoring alone, after selection.

    Parameters
    ----------
    run : Tuning
    seeds : mapping of int to int
        For each seed's number, as shown in the rows, the integer that its randomness starts from.
    identity : mapping
        corpus, recipe, noise_kind, noise_percent and pretrain_seed of the encoder.
    fractions : sequence of int
        The percents of the training images to tune on.

    Raises
    ------
    UserError
        What `nml.tuning.whitebox.tune.tune` raises.
    """
    tuned = {part: {number: _tuned(run.on(part), seed) for number, seed in seeds.items()} for part in fractions}
    columns = joined([_predictions(run, own, part) for part, own in tuned.items()])
    cell = {**identity, "task": run.images.task, "method": run.name}
    cells = score(columns, run.images.num_classes, cell, run.images.groups)
    return MethodResult(cells, columns, _metadata(run, tuned))


@dataclass(frozen=True)
class _Seed:
    """What is kept of a seed: its predictions int64 [N] and spectrum of each test set, and not its tuned features."""

    encoder: TunedEncoder
    predictions: dict[str, np.ndarray]
    spectra: dict[str, dict[str, float]]


def _tuned(run: Tuning, seed: int) -> _Seed:
    encoder = tune(run, seed)
    predictions = {name: split.predictions for name, split in encoder.tests.items()}
    spectra = {name: fast_shape(split.features) for name, split in encoder.tests.items()}
    return _Seed(replace(encoder, tests={}), predictions, spectra)


def _predictions(run: Tuning, tuned: Mapping[int, _Seed], fraction: int) -> Columns:
    tests = run.images.tests
    predicted = {name: np.stack([one.predictions[name] for one in tuned.values()]) for name in tests}
    return prediction_columns(tests, list(tuned), predicted, fraction)


def _metadata(run: Tuning, tuned: Mapping[int, Mapping[int, _Seed]]) -> dict[str, Any]:
    """Return what is worth knowing; `wall_seconds` are of the epochs with their validation, without probe and tests."""
    parts = {
        str(fraction): _outcome({str(number): one for number, one in own.items()}) for fraction, own in tuned.items()
    }
    common = {name: getattr(run, name) for name in COMMON_PARAMETERS}
    return {
        "method": run.method,
        "hyperparameters": {**common, **run.parameters},
        **parts[str(max(tuned))],
        **({"fractions": parts} if len(parts) > 1 else {}),
        "wall_seconds": sum(sum(part["seed_seconds"].values()) for part in parts.values()),
        "process_peak_memory_bytes": peak_memory(),
    }


def _outcome(tuned: Mapping[str, _Seed]) -> dict[str, Any]:
    """Return what came of the seeds on one fraction."""
    encoders, some = {name: one.encoder for name, one in tuned.items()}, next(iter(tuned.values()))
    return {
        "selected_epoch": {name: one.epoch for name, one in encoders.items()},
        "validation_accuracy": {name: one.validation_accuracy for name, one in encoders.items()},
        "trainable_parameters": some.encoder.trainable_parameters,
        "spectra": mean_shapes([one.spectra for one in tuned.values()]),
        "seed_seconds": {name: one.seconds for name, one in encoders.items()},
        "log": {name: one.log for name, one in encoders.items()},
    }
