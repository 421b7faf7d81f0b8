"""All cells of black-box methods on one (encoder, task), and the spectrum: put back where they are right, else made."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nml.artifacts import write_json, write_parquet
from nml.costs import Try
from nml.devices import choose_device
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA, SPECTRUM_SCHEMA, spectrum_rows
from nml.evaluation.evaluate import Diverged, evaluate
from nml.evaluation.kept import keep, restore
from nml.features.cache import cached_features, features_key
from nml.features.noisy import with_label_noise
from nml.features.store import TaskFeatures
from nml.grid import Encoder, TaskAddress
from nml.preemption import undisturbed
from nml.seeds import derive_seed

logger = logging.getLogger("nml")


@dataclass(frozen=True)
class TaskCells:
    """What the cells of an (encoder, task) are made from.

    Attributes
    ----------
    encoder : Encoder
    task : TaskAddress
    methods : mapping of a name to its values
        `views` among them, how many views of a training image it draws from.
    method_code : mapping of a name to the hash of its code
    seeds : int
        How many.
    fractions : sequence of int
        Percents of the training samples.
    noise_seed : int or None
        `noise_seed` of the configuration, for a task with noise in its labels.
    described : str
        Hash of what the catalogue says of the task.
    code, features_code : str
        Hashes of the code of the job, and of that which extracts features.
    features : Path
        Where features are kept.
    """

    encoder: Encoder
    task: TaskAddress
    methods: Mapping[str, Mapping[str, Any]]
    method_code: Mapping[str, str]
    seeds: int
    fractions: Sequence[int]
    noise_seed: int | None
    described: str
    code: str
    features_code: str
    features: Path


def make_cells(wanted: TaskCells, cells: Mapping[str, Path], spectrum: Path, cost: Try) -> None:
    """Write the cell of each method with its predictions and metadata, and the spectrum.

    Parameters
    ----------
    wanted : TaskCells
    cells, spectrum : Path
        Where they go, below `results/`; the cells by method.
    cost : Try
        Of the job; it gets noted how many cells were put back.

    Raises
    ------
    UserError
        What `nml.evaluation.evaluate.evaluate` and `nml.features.cache.cached_features` raise. Where a method
        diverges, the cells of the others are written and kept first.
    """
    key = features_key(str(wanted.encoder), wanted.task.name, wanted.described, wanted.features_code)
    of_spectrum, of_cells = spectrum_made_from(wanted, key), cells_made_from(wanted, key)
    missing = [name for name, cell in cells.items() if not restore(_files(cell), of_cells[name])]
    cost.put_back = len(cells) - len(missing)
    is_spectrum_missing = not restore([spectrum], of_spectrum)
    logger.info("to make: %s; the others are as they were", ", ".join(missing) or "nothing")
    if missing or is_spectrum_missing:
        features, record = _features(wanted, key, missing)
    if is_spectrum_missing:
        rows = spectrum_rows(features, wanted.encoder.identity())
        with undisturbed():
            write_parquet(spectrum, rows, SPECTRUM_SCHEMA)
            keep([spectrum], of_spectrum)
    if missing:
        _train(wanted, features, record, {name: (cells[name], of_cells[name]) for name in missing})


def spectrum_made_from(wanted: TaskCells, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the spectrum depends on, for `nml.evaluation.kept`; `key` is that of the features."""
    task = {"task": str(wanted.task), "described": wanted.described, "noise_seed": wanted.noise_seed}
    return {"features": dict(key), "encoder": str(wanted.encoder), **task, "code": wanted.code}


def cells_made_from(wanted: TaskCells, key: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all that the cell of each method depends on; parameters as of `spectrum_made_from`."""
    common = spectrum_made_from(wanted, key) | {"seeds": wanted.seeds, "fractions": list(wanted.fractions)}
    return {
        name: common | {"method": dict(values), "method_code": wanted.method_code[name]}
        for name, values in wanted.methods.items()
    }


def _features(wanted: TaskCells, key: Mapping[str, Any], missing: Sequence[str]) -> tuple[TaskFeatures, dict[str, Any]]:
    """Return the features, with as many views as the missing methods draw from, and what is noted of label noise."""
    views = max((wanted.methods[name]["views"] for name in missing), default=1)
    features = cached_features(str(wanted.encoder), wanted.task.name, wanted.features, key, views)
    if not wanted.task.noise.percent:
        return features, {}
    features, noise = with_label_noise(features, wanted.task, wanted.noise_seed)
    return features, {"label_noise": noise}


def _train(
    wanted: TaskCells,
    features: TaskFeatures,
    record: Mapping[str, Any],
    missing: Mapping[str, tuple[Path, Mapping[str, Any]]],
) -> None:
    """Train the heads of missing cells, given with what they are made from; write and keep the cells that are sound."""
    encoder, methods = wanted.encoder, {name: wanted.methods[name] for name in missing}
    # Without any noise: a task's heads start alike at every noise ratio, so their differences come from the noise.
    start = (encoder.recipe, f"s{encoder.seed}", wanted.task.name)
    seeds = {seed: derive_seed(*start, seed) for seed in range(wanted.seeds)}
    lost = None
    try:
        results = evaluate(features, methods, seeds, encoder.identity(), str(choose_device()), wanted.fractions)
    except Diverged as error:
        lost, results = error, error.results
    # Asked to stop in here, the job would throw trained heads away.
    with undisturbed():
        for name, result in results.items():
            files = _files(missing[name][0])
            write_parquet(files[0], result.cells, CELL_SCHEMA)
            write_parquet(files[1], result.predictions, PREDICTIONS_SCHEMA)
            write_json(files[2], result.metadata | {"split_variant": features.variant} | record)
            keep(files, missing[name][1])
    if lost:
        raise lost


def _files(cell: Path) -> list[Path]:
    """Return a cell's file, that of its predictions, and that of its metadata."""
    return [cell, cell.with_suffix(".predictions.parquet"), cell.with_suffix(".meta.json")]
