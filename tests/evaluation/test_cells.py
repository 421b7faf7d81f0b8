"""Rows of cells, predictions and spectra: their columns, order and values."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from nml.evaluation import accuracy, largest_singular_value_ratio, singular_value_entropy
from nml.evaluation.cells import (
    CELL_SCHEMA,
    PREDICTIONS_SCHEMA,
    SPECTRUM_SCHEMA,
    prediction_columns,
    score,
    spectrum_rows,
)


@pytest.fixture
def predictions(features):
    random = np.random.default_rng(0)
    predicted = {name: random.integers(0, 3, (2, len(split.labels))) for name, split in features.tests.items()}
    return prediction_columns(features.tests, [0, 1], predicted)


def table(columns, schema) -> list[dict]:
    return pa.table(columns, schema=schema).to_pylist()


def test_prediction_rows_are_ordered_by_test_set_seed_and_sample(predictions, features):
    rows = table(predictions, PREDICTIONS_SCHEMA)
    keys = [(row["test_set"], row["fraction"], row["seed"], row["key"]) for row in rows]
    tests = features.tests.items()
    assert keys == [(name, 100, seed, key) for name, split in tests for seed in (0, 1) for key in split.keys]
    assert [row["label"] for row in rows[:40]] == features.tests["sketch"].labels.tolist()


def test_cell_rows_have_every_metric_of_every_test_set_and_seed(predictions, features, identity):
    columns = score(predictions, 3, {**identity, "task": "shapes", "method": "lp"}, features.groups)
    rows = table(columns, CELL_SCHEMA)
    metrics = ["accuracy", "mean_per_class_accuracy", "macro_f1"]
    expected = [(t, g, s, m) for t, g in (("sketch", "ood"), ("photo", "source")) for s in (0, 1) for m in metrics]
    assert [(row["test_set"], row["group"], row["seed"], row["metric"]) for row in rows] == expected
    assert [row["n"] for row in rows] == [40] * 6 + [25] * 6
    assert all(row["method"] == "lp" and row["noise_percent"] == 20 and row["fraction"] == 100 for row in rows)
    second = table(predictions, PREDICTIONS_SCHEMA)[40:80]
    labels, predicted = (np.array([row[name] for row in second]) for name in ("label", "prediction"))
    assert rows[3]["value"] == accuracy(labels, predicted, 3)


def test_scores_come_from_the_predictions_table_whatever_its_row_order(predictions, features, identity):
    cell = {**identity, "task": "shapes", "method": "lp"}
    order = np.random.default_rng(1).permutation(len(predictions["key"]))
    shuffled = {name: np.asarray(values)[order] for name, values in predictions.items()}

    def values(columns) -> dict:
        rows = table(score(columns, 3, cell, features.groups), CELL_SCHEMA)
        return {(row["test_set"], row["seed"], row["metric"]): row["value"] for row in rows}

    assert values(shuffled) == values(predictions)


def test_spectrum_rows_hold_the_measures_of_each_test_set(features, identity):
    rows = table(spectrum_rows(features, identity), SPECTRUM_SCHEMA)
    assert [(row["test_set"], row["group"], row["n"], row["dim"]) for row in rows] == [
        ("sketch", "ood", 40, 8),
        ("photo", "source", 25, 8),
    ]
    for row in rows:
        matrix = features.tests[row["test_set"]].features
        assert row["sve"] == pytest.approx(singular_value_entropy(matrix))
        assert row["lsvr"] == pytest.approx(largest_singular_value_ratio(matrix))
        assert row["dominant_ratio"] == pytest.approx(np.exp(-row["lsvr"]))
        assert row["singular_values"] == sorted(row["singular_values"], reverse=True)


def test_columns_are_in_the_published_order():
    encoder = ["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed", "task", "group", "test_set"]
    assert CELL_SCHEMA.names == [*encoder, "method", "fraction", "seed", "metric", "value", "n"]
    assert PREDICTIONS_SCHEMA.names == ["test_set", "fraction", "seed", "key", "label", "prediction"]
    assert SPECTRUM_SCHEMA.names == [*encoder, "n", "dim", "singular_values", "sve", "lsvr", "dominant_ratio"]


def test_a_dominant_ratio_of_one_gives_zero_and_not_minus_zero(features, identity):
    split = features.tests["sketch"]
    ones = replace(split, features=np.eye(1, split.features.shape[1]).repeat(len(split.labels), axis=0))
    row = table(spectrum_rows(replace(features, tests={"sketch": ones}), identity), SPECTRUM_SCHEMA)[0]
    assert row["dominant_ratio"] == 1
    assert (row["lsvr"], np.signbit(row["lsvr"])) == (0, False)
