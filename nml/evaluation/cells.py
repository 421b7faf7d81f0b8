"""The rows of cells, predictions and spectra: their schemas, their columns, and their order.

Rows hold nothing that changes between runs (no time, no host), so that a rerun gives the same bytes.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nml.evaluation import metrics, spectrum
from nml.features.store import Split, TaskFeatures

Columns = dict[str, Any]

ENCODER_FIELDS = [
    ("corpus", pa.string()),
    ("recipe", pa.string()),
    ("noise_kind", pa.string()),
    ("noise_percent", pa.float64()),
    ("pretrain_seed", pa.int64()),
]
CELL_SCHEMA = pa.schema(
    [
        *ENCODER_FIELDS,
        ("task", pa.string()),
        ("group", pa.string()),
        ("test_set", pa.string()),
        ("method", pa.string()),
        ("fraction", pa.int64()),
        ("seed", pa.int64()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)
PREDICTIONS_SCHEMA = pa.schema(
    [
        ("test_set", pa.string()),
        ("fraction", pa.int64()),
        ("seed", pa.int64()),
        ("key", pa.string()),
        ("label", pa.int64()),
        ("prediction", pa.int64()),
    ]
)
SPECTRUM_SCHEMA = pa.schema(
    [
        *ENCODER_FIELDS,
        ("task", pa.string()),
        ("group", pa.string()),
        ("test_set", pa.string()),
        ("n", pa.int64()),
        ("dim", pa.int64()),
        ("singular_values", pa.list_(pa.float64())),
        ("sve", pa.float64()),
        ("lsvr", pa.float64()),
        ("dominant_ratio", pa.float64()),
    ]
)
METRICS = {
    "accuracy": metrics.accuracy,
    "mean_per_class_accuracy": metrics.mean_per_class_accuracy,
    "macro_f1": metrics.macro_f1,
}


def prediction_columns(
    tests: Mapping[str, Split], seeds: Sequence[int], predictions: Mapping[str, np.ndarray], fraction: int = 100
) -> Columns:
    """Return the columns of PREDICTIONS_SCHEMA, ordered by test set, seed and sample.

    Parameters
    ----------
    tests : mapping of test set to Split
    seeds : sequence of int
        The seeds' numbers, S of them.
    predictions : mapping of test set to int64 [S, N]
    fraction : int
        Percent of the training data that the heads were trained on.
    """
    blocks = [(name, split, seed, row) for name, split in tests.items() for seed, row in enumerate(predictions[name])]
    sizes = [len(split.labels) for _, split, _, _ in blocks]
    return {
        "test_set": [name for name, split, _, _ in blocks for _ in split.keys],
        "fraction": np.full(sum(sizes), fraction),
        "seed": np.repeat([seeds[row] for _, _, row, _ in blocks], sizes),
        "key": [key for _, split, _, _ in blocks for key in split.keys],
        "label": np.concatenate([split.labels for _, split, _, _ in blocks]),
        "prediction": np.concatenate([row for _, _, _, row in blocks]),
    }


def joined(blocks: Sequence[Columns]) -> Columns:
    """Return the rows of several tables with the same columns, one table after the other."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    return {
        name: np.concatenate([block[name] for block in blocks])
        if isinstance(values, np.ndarray)
        else list(itertools.chain.from_iterable(block[name] for block in blocks))
        for name, values in first.items()
    }


def score(predictions: Columns, num_classes: int, identity: Mapping[str, Any], groups: Mapping[str, str]) -> Columns:
    """Return the columns of CELL_SCHEMA for a predictions table, every metric of every test set, fraction and seed.

    Parameters
    ----------
    predictions : columns of PREDICTIONS_SCHEMA
    num_classes : int
    identity : mapping
        corpus, recipe, noise_kind, noise_percent, pretrain_seed, task and method.
    groups : mapping of test set to group
        `id`, `ood`, `source` or `robustness`; of a task with label noise, with the noise, such as `id+symmetric-20`.
    """
    rows = []
    for (test_set, fraction, seed), labels, predicted in _blocks(predictions):
        for metric, function in METRICS.items():
            value = function(labels, predicted, num_classes)
            place = {"group": groups[test_set], "test_set": test_set, "fraction": fraction, "seed": seed}
            rows.append({**identity, **place, "metric": metric, "value": value, "n": len(labels)})
    return _as_columns(rows, CELL_SCHEMA)


def spectrum_rows(features: TaskFeatures, identity: Mapping[str, Any]) -> Columns:
    """Return the columns of SPECTRUM_SCHEMA, one row per test set; `identity` names the encoder."""
    rows = []
    for test_set, split in features.tests.items():
        sigma = spectrum.singular_values(split.features)
        place = {"task": features.task, "group": features.groups[test_set], "test_set": test_set}
        size = {"n": split.features.shape[0], "dim": split.features.shape[1], "singular_values": sigma.tolist()}
        rows.append({**identity, **place, **size, **spectrum.shape(sigma)})
    return _as_columns(rows, SPECTRUM_SCHEMA)


def _blocks(predictions: Columns) -> Iterable[tuple[tuple[str, int, int], np.ndarray, np.ndarray]]:
    """Yield (test set, fraction, seed), labels and predictions of each block, in order of first appearance."""
    labels, predicted = np.asarray(predictions["label"]), np.asarray(predictions["prediction"])
    keys = list(
        zip(predictions["test_set"], map(int, predictions["fraction"]), map(int, predictions["seed"]), strict=True)
    )
    codes = {key: code for code, key in enumerate(dict.fromkeys(keys))}
    code_of_row = np.fromiter((codes[key] for key in keys), dtype=np.int64, count=len(keys))
    for key, code in codes.items():
        yield key, labels[code_of_row == code], predicted[code_of_row == code]


def _as_columns(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> Columns:
    return {name: [row[name] for row in rows] for name in schema.names}
