"""Every black-box method on one (encoder, task): tune all heads, predict all test sets, score."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nml.evaluation.cells import Columns, prediction_columns, score
from nml.features.store import TaskFeatures
from nml.grid import Encoder, Noise
from nml.plugins import COMMON_PARAMETERS, tuning_method
from nml.tuning import registry
from nml.tuning.engine import FittedHeads, HeadSpec, fit


@dataclass(frozen=True)
class MethodResult:
    """One cell: columns of CELL_SCHEMA and PREDICTIONS_SCHEMA, and what is worth knowing about the run."""

    cells: Columns
    predictions: Columns
    metadata: dict[str, Any]


def evaluate(
    features: TaskFeatures,
    methods: Mapping[str, Mapping[str, Any]],
    seeds: Mapping[int, int],
    identity: Mapping[str, Any],
    device: str = "cpu",
) -> dict[str, MethodResult]:
    """Return one result per method. The test labels are used for scoring alone, after selection.

    Parameters
    ----------
    features : TaskFeatures
    methods : mapping of method to hyper-parameters
        The common ones (learning_rate, weight_decay, epochs, batch_size) and the method's own.
    seeds : mapping of int to int
        For each seed's number, as shown in the rows, the integer that its randomness starts from. All methods share
        it, so that their differences are paired.
    identity : mapping
        corpus, recipe, noise_kind, noise_percent and pretrain_seed of the encoder.
    device : str
        A torch device.

    Raises
    ------
    UserError
        If a method or hyper-parameter is unknown or out of range, the features are damaged, or training diverges.
    """
    specs = [_head(method, values, seed) for method, values in methods.items() for seed in seeds.values()]
    train, validation = features.train, features.validation
    heads = fit(
        train.features,
        train.labels,
        validation.features,
        validation.labels,
        features.num_classes,
        specs,
        device=device,
        label=f"tune {_address(identity)} {features.task}",
    )
    allowed = features.allowed
    predicted = {name: heads.predict(split.features, allowed.get(name)) for name, split in features.tests.items()}
    results = {}
    for index, method in enumerate(methods):
        members = slice(index * len(seeds), (index + 1) * len(seeds))
        own = {name: values[members] for name, values in predicted.items()}
        columns = prediction_columns(features.tests, list(seeds), own)
        cell = {**identity, "task": features.task, "method": method}
        cells = score(columns, features.num_classes, cell, features.groups)
        results[method] = MethodResult(cells, columns, _metadata(heads, members, list(seeds)))
    return results


def _address(identity: Mapping[str, Any]) -> str:
    noise = Noise(identity["noise_kind"], identity["noise_percent"])
    return str(Encoder(identity["corpus"], identity["recipe"], noise, identity["pretrain_seed"]))


def _head(method: str, values: Mapping[str, Any], seed: int) -> HeadSpec:
    common = {name: values[name] for name in COMMON_PARAMETERS if name in values}
    own = {name: value for name, value in values.items() if name not in common}
    if not tuning_method(method).trained:
        common = {}
    return HeadSpec(method, seed, **common, parameters=registry.complete(method, own))


def _metadata(heads: FittedHeads, members: slice, seeds: list[int]) -> dict[str, Any]:
    spec = heads.specs[members][0]
    trained = tuning_method(spec.method).trained
    common = {name: getattr(spec, name) for name in COMMON_PARAMETERS} if trained else {}
    return {
        "method": spec.method,
        "hyperparameters": {**common, **spec.parameters},
        "selected_epoch": dict(zip(map(str, seeds), heads.epochs[members].tolist(), strict=True)),
        "validation_accuracy": dict(zip(map(str, seeds), heads.validation_accuracies[members].tolist(), strict=True)),
        "wall_seconds": float(np.max(heads.seconds[members])),
        "process_peak_memory_bytes": _process_peak_memory(heads.device.type),
    }


def _process_peak_memory(device: str) -> int:
    """Return the most memory that this process held so far, in bytes: of the GPU if the heads are there."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    # Linux counts it in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
