"""One white-box method on one (encoder, task): tune a network a seed, predict all test sets, score."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nml.devices import peak_memory
from nml.evaluation.cells import prediction_columns, score
from nml.evaluation.evaluate import MethodResult
from nml.evaluation.spectrum import dominant_ratio, entropy, singular_values
from nml.tuning.whitebox import TunedEncoder, Tuning, tune


def evaluate_encoder(run: Tuning, seeds: Mapping[int, int], identity: Mapping[str, Any]) -> MethodResult:
    """Return the cell of one method. The test labels are used for scoring alone, after selection.

    Parameters
    ----------
    run : Tuning
    seeds : mapping of int to int
        For each seed's number, as shown in the rows, the integer that its randomness starts from.
    identity : mapping
        corpus, recipe, noise_kind, noise_percent and pretrain_seed of the encoder.

    Raises
    ------
    UserError
        What `nml.tuning.whitebox.tune` raises.
    """
    tuned = {number: tune(run, seed) for number, seed in seeds.items()}
    tests = run.images.tests
    predicted = {name: np.stack([one.tests[name].predictions for one in tuned.values()]) for name in tests}
    columns = prediction_columns(tests, list(seeds), predicted)
    cell = {**identity, "task": run.images.task, "method": run.method}
    cells = score(columns, run.images.num_classes, cell, run.images.groups)
    return MethodResult(cells, columns, _metadata(run, tuned))


def _metadata(run: Tuning, tuned: Mapping[int, TunedEncoder]) -> dict[str, Any]:
    named = {str(number): one for number, one in tuned.items()}
    some = next(iter(named.values()))
    common = {name: getattr(run, name) for name in ("learning_rate", "weight_decay", "epochs", "batch_size")}
    return {
        "method": run.method,
        "hyperparameters": {**common, **run.parameters},
        "selected_epoch": {name: one.epoch for name, one in named.items()},
        "validation_accuracy": {name: one.validation_accuracy for name, one in named.items()},
        "trainable_parameters": some.trainable_parameters,
        "spectra": {test: _mean_spectrum([one.tests[test].features for one in named.values()]) for test in some.tests},
        "wall_seconds": sum(one.seconds for one in named.values()),
        "seed_seconds": {name: one.seconds for name, one in named.items()},
        "process_peak_memory_bytes": peak_memory(),
        "log": {name: one.log for name, one in named.items()},
    }


def _mean_spectrum(features: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the mean over seeds of what describes the spectrum of the tuned features, each [N, D]."""
    sigmas = [singular_values(one) for one in features]
    ratios = [dominant_ratio(sigma) for sigma in sigmas]
    values = {"sve": [entropy(sigma) for sigma in sigmas], "lsvr": -np.log(ratios), "dominant_ratio": ratios}
    return {name: float(np.mean(found)) for name, found in values.items()}
