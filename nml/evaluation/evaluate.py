"""Every black-box method on one (encoder, task): fit all heads, choose among candidates, predict, score."""

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nml.devices import peak_memory
from nml.errors import UserError
from nml.evaluation.cells import Columns, joined, prediction_columns, score
from nml.evaluation.spectrum import fast_shape, mean_shapes
from nml.features.store import Split, TaskFeatures
from nml.grid import Encoder, Noise
from nml.plugins import COMMON_PARAMETERS, tuning_method
from nml.tasks.fractions import fraction_indices
from nml.tuning import registry
from nml.tuning.data import ALL
from nml.tuning.engine import FittedHeads, divergence, fit
from nml.tuning.specs import HeadSpec

logger = logging.getLogger("nml")


@dataclass(frozen=True)
class MethodResult:
    """One cell: columns of CELL_SCHEMA and PREDICTIONS_SCHEMA, and what is worth knowing about the run."""

    cells: Columns
    predictions: Columns
    metadata: dict[str, Any]


class Diverged(UserError):
    """Training diverged; `results` are those of the methods that did not."""

    def __init__(self, message: str, results: dict[str, MethodResult]) -> None:
        super().__init__(message)
        self.results = results


def evaluate(
    features: TaskFeatures,
    methods: Mapping[str, Mapping[str, Any]],
    seeds: Mapping[int, int],
    identity: Mapping[str, Any],
    device: str = "cpu",
    fractions: Sequence[int] = (ALL,),
) -> dict[str, MethodResult]:
    """Return one result per method. The test labels are used for scoring alone, after selection.

    Parameters
    ----------
    features : TaskFeatures
    methods : mapping of a name to hyper-parameters
        `method`, of which the name is a variant (if not given or None, the name is the method's); the common ones
        (learning_rate, weight_decay, epochs, batch_size) and the method's own; `views`, how many views of a training
        image it draws from (if not given, all that the features hold). Where there are lists of values, the
        combination with the best validation accuracy, in the mean over the seeds, is chosen; the first of equals.
    seeds : mapping of int to int
        For each seed's number, as shown in the rows, the integer that its randomness starts from. All methods share
        it, so that their differences are paired.
    identity : mapping
        corpus, recipe, noise_kind, noise_percent and pretrain_seed of the encoder.
    device : str
        A torch device.
    fractions : sequence of int
        The percents of the training samples to tune on.

    Raises
    ------
    UserError
        If a method or hyper-parameter is unknown or out of range, or the features are damaged.
    Diverged
        If a method's training diverges, of a search with every candidate; after the results of the others are made.
    """
    train, validation = features.train, features.validation
    views = 1 if features.views is None else len(features.views)
    entries = {name: _Entry(name, values, views) for name, values in methods.items()}
    _say_if_views_are_equal(entries.values())
    groups = {
        (name, fraction): entry.specs(fraction, seeds) for name, entry in entries.items() for fraction in fractions
    }
    heads = fit(
        train.features if features.views is None else features.views,
        train.labels,
        validation.features,
        validation.labels,
        features.num_classes,
        list(itertools.chain.from_iterable(groups.values())),
        device=device,
        label=f"tune {_address(identity)} {features.task}",
        subsets={part: fraction_indices(train.labels, train.keys, part) for part in fractions if part != ALL},
        may_diverge=True,
    )
    choices = _choose(heads, groups, len(seeds))
    sound = [name for name in entries if not any(choices[name, fraction].is_lost for fraction in fractions)]
    order = [head for name in sound for fraction in fractions for head in choices[name, fraction].heads]
    predicted = {
        name: heads.predict(split.features, order, features.allowed.get(name)) for name, split in features.tests.items()
    }
    as_they_are = cache(lambda: [{name: fast_shape(split.features) for name, split in features.tests.items()}])
    results = {}
    for name in sound:
        cell = {**identity, "task": features.task, "method": name}
        own = {fraction: choices[name, fraction] for fraction in fractions}
        columns = joined(
            [
                prediction_columns(
                    features.tests,
                    list(seeds),
                    {test: rows[[order.index(head) for head in choice.heads]] for test, rows in predicted.items()},
                    fraction,
                )
                for fraction, choice in own.items()
            ]
        )
        cells = score(columns, features.num_classes, cell, features.groups)
        spectra = {part: _spectra(heads, choice.heads, features.tests, as_they_are) for part, choice in own.items()}
        results[name] = MethodResult(cells, columns, _metadata(heads, entries[name], own, list(seeds), spectra))
    if lost := [name for name in entries if name not in sound]:
        problem = divergence(heads, [head for one in choices.values() if one.is_lost for head in one.among])
        keys = ", ".join(f"methods.{name}.learning_rate" for name in lost)
        others = ". The other methods' cells are kept: the next run puts them back" if results else ""
        raise Diverged(f"{_address(identity)} on {features.task}: {problem} ({keys}){others}", results)
    return results


def _spectra(
    heads: FittedHeads,
    members: Sequence[int],
    tests: Mapping[str, Split],
    as_they_are: Callable[[], list[dict[str, dict[str, float]]]],
) -> dict[str, dict[str, float]]:
    """Return the shape of the spectrum of what a method makes of each test set's features, the mean over its seeds.

    Where the method is not trained there is none. Behind a linear head, every seed sees the features as they are.
    """
    method = tuning_method(heads.specs[members[0]].method)
    if not method.trained:
        return {}
    if method.head == "linear":
        return mean_shapes(as_they_are())
    return mean_shapes(
        [{name: fast_shape(heads.transform(split.features, head)) for name, split in tests.items()} for head in members]
    )


def _say_if_views_are_equal(entries: "Iterable[_Entry]") -> None:
    methods = sorted({one.method for one in entries if one.views == 1 and tuning_method(one.method).views > 1})
    if methods:
        names = ", ".join(methods)
        logger.info("%s: its two views of an image are the same features; `views: 2` or more makes them differ", names)


def _address(identity: Mapping[str, Any]) -> str:
    noise = Noise(identity["noise_kind"], identity["noise_percent"])
    return str(Encoder(identity["corpus"], identity["recipe"], noise, identity["pretrain_seed"]))


class _Entry:
    """One entry of the methods: the method that it is a variant of, and the candidates of its hyper-parameters.

    `views` is how many views of a sample it draws from, of those that the features hold.
    """

    def __init__(self, name: str, values: Mapping[str, Any], views: int) -> None:
        self.name, self.method = name, values.get("method") or name
        trained = tuning_method(self.method).trained
        self.views = min(views, values.get("views") or views) if trained else 1
        common = {key: values[key] for key in COMMON_PARAMETERS if trained and key in values}
        own = {key: value for key, value in values.items() if key not in (*COMMON_PARAMETERS, "method", "views")}
        given = common | own
        self.searched = [key for key, value in given.items() if isinstance(value, list)]
        lists = [value if isinstance(value, list) else [value] for value in given.values()]
        self.candidates = [dict(zip(given, choice, strict=True)) for choice in itertools.product(*lists)]

    def specs(self, fraction: int, seeds: Mapping[int, int]) -> list[HeadSpec]:
        """Return the heads of a fraction: every seed of the first candidate, then of the next."""
        return [self._spec(values, fraction, seed) for values in self.candidates for seed in seeds.values()]

    def _spec(self, values: Mapping[str, Any], fraction: int, seed: int) -> HeadSpec:
        common = {key: value for key, value in values.items() if key in COMMON_PARAMETERS}
        own = {key: value for key, value in values.items() if key not in common}
        complete = registry.complete(self.method, own)
        return HeadSpec(
            self.method, seed, **common, parameters=complete, fraction=fraction, cell=self.name, views=self.views
        )


@dataclass(frozen=True)
class _Choice:
    """The chosen heads, one a seed, among all candidates' heads, and the mean validation accuracy of every candidate.

    It is NaN where a seed diverged; the choice is lost where one of every candidate did.
    """

    heads: list[int]
    among: list[int]
    accuracies: list[float]

    @property
    def is_lost(self) -> bool:
        return bool(np.isnan(self.accuracies).all())


def _choose(
    heads: FittedHeads, groups: Mapping[tuple[str, int], Sequence[HeadSpec]], seeds: int
) -> dict[tuple[str, int], _Choice]:
    """Return the best candidate of each method and fraction, the first of equals."""
    choices, start = {}, 0
    for key, specs in groups.items():
        members = np.arange(start, start + len(specs)).reshape(-1, seeds)
        correct = heads.correct[members]
        # Whole numbers: means of equal sums may differ by a rounding error.
        right = np.where((correct < 0).any(axis=1), -1, correct.sum(axis=1))
        accuracies = np.where(right < 0, np.nan, right / (seeds * heads.validation_samples))
        choices[key] = _Choice(members[right.argmax()].tolist(), members.ravel().tolist(), accuracies.tolist())
        start += len(specs)
    return choices


def _metadata(
    heads: FittedHeads,
    entry: _Entry,
    choices: Mapping[int, _Choice],
    seeds: list[int],
    spectra: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what is worth knowing about a method; `wall_seconds` are of fitting all that was tried, and validation."""
    parts = {
        str(fraction): _selection(heads, entry, choice, seeds) | {"spectra": spectra[fraction]}
        for fraction, choice in choices.items()
    }
    fitted = [head for choice in choices.values() for head in choice.among]
    return {
        "method": entry.method,
        "views": entry.views,
        **parts[str(max(choices))],
        **({"fractions": parts} if len(parts) > 1 else {}),
        "wall_seconds": float(np.sum(heads.seconds[fitted])),
        "process_peak_memory_bytes": peak_memory(),
    }


def _selection(heads: FittedHeads, entry: _Entry, choice: _Choice, seeds: list[int]) -> dict[str, Any]:
    """Return the chosen hyper-parameters and epochs of one fraction, and what they were chosen among."""
    spec, members = heads.specs[choice.heads[0]], choice.heads
    trained = tuning_method(entry.method).trained
    common = {name: getattr(spec, name) for name in COMMON_PARAMETERS} if trained else {}
    found = {
        "hyperparameters": {**common, **spec.parameters},
        "selected_epoch": dict(zip(map(str, seeds), heads.epochs[members].tolist(), strict=True)),
        "validation_accuracy": dict(zip(map(str, seeds), heads.validation_accuracies[members].tolist(), strict=True)),
    }
    if not entry.searched:
        return found
    tried = [
        {key: values[key] for key in entry.searched} | {"validation_accuracy": None if np.isnan(mean) else mean}
        for values, mean in zip(entry.candidates, choice.accuracies, strict=True)
    ]
    return found | {"search": tried}
