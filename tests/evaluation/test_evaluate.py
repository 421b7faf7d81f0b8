"""From features to cells: what is returned, what it depends on, and what it must not depend on."""

import json
import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from nml.artifacts import sha256_file, write_parquet
from nml.errors import UserError
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA
from nml.evaluation.evaluate import evaluate

METHODS = {
    "majority": {},
    "lp": {"learning_rate": 0.1, "weight_decay": 0.0, "epochs": 3, "batch_size": 32},
    "nmtune": {"learning_rate": 0.01, "weight_decay": 1e-4, "epochs": 3, "batch_size": 32, "weight": 0.05},
}
SEEDS = {0: 123, 1: 456}


def relabelled(features):
    """The same task with other test labels."""
    tests = {name: replace(split, labels=(split.labels + 1) % 3) for name, split in features.tests.items()}
    return replace(features, tests=tests)


def test_every_method_gets_cells_predictions_and_metadata(features, identity):
    results = evaluate(features, METHODS, SEEDS, identity)
    assert list(results) == list(METHODS)
    for method, result in results.items():
        assert pa.table(result.cells, schema=CELL_SCHEMA).num_rows == 2 * 2 * 3
        assert pa.table(result.predictions, schema=PREDICTIONS_SCHEMA).num_rows == 2 * (40 + 25)
        assert set(result.cells["method"]) == {method}
        assert json.loads(json.dumps(result.metadata))["method"] == method


def test_metadata_tell_how_each_seed_was_selected(features, identity):
    results = evaluate(features, METHODS, SEEDS, identity)
    found = results["nmtune"].metadata
    expected = {"weight": 0.05, "k": 1, "width": 1.0}
    common = {"learning_rate": 0.01, "weight_decay": 1e-4, "epochs": 3, "batch_size": 32}
    assert found["hyperparameters"] == {**common, **expected}
    assert set(found["selected_epoch"]) == set(found["validation_accuracy"]) == {"0", "1"}
    assert all(1 <= epoch <= 3 for epoch in found["selected_epoch"].values())
    assert found["wall_seconds"] > 0
    assert 2**20 < found["process_peak_memory_bytes"] < 2**50
    assert results["majority"].metadata["hyperparameters"] == {}


def test_trained_methods_beat_the_majority(features, identity):
    results = evaluate(features, METHODS, SEEDS, identity)
    majority, lp = (np.mean(results[name].cells["value"]) for name in ("majority", "lp"))
    assert majority < 0.5 < 0.9 < lp


def test_predictions_are_among_the_classes_that_occur_in_a_test_set(features, identity):
    free = evaluate(features, METHODS, SEEDS, identity)
    bound = evaluate(replace(features, allowed={"sketch": [0, 2]}), METHODS, SEEDS, identity)
    for method in METHODS:
        sets = np.asarray(bound[method].predictions["test_set"])
        was, now = free[method].predictions["prediction"], bound[method].predictions["prediction"]
        masked = sets == "sketch"
        assert set(now[masked]) <= {0, 2}
        # What was allowed before is still the best of those that are; the other test set is as it was.
        assert np.array_equal(now[~masked], was[~masked])
        kept = masked & np.isin(was, [0, 2])
        assert np.array_equal(now[kept], was[kept])


def test_test_labels_reach_the_scores_and_nothing_else(features, identity):
    before = evaluate(features, METHODS, SEEDS, identity)
    after = evaluate(relabelled(features), METHODS, SEEDS, identity)
    for method in METHODS:
        np.testing.assert_array_equal(before[method].predictions["prediction"], after[method].predictions["prediction"])
        for name in ("selected_epoch", "validation_accuracy"):
            assert before[method].metadata[name] == after[method].metadata[name]
    assert before["lp"].cells["value"] != after["lp"].cells["value"]


def test_a_rerun_gives_the_same_bytes(features, identity, tmp_path):
    hashes = set()
    for run in range(2):
        result = evaluate(features, METHODS, SEEDS, identity)["nmtune"]
        write_parquet(tmp_path / f"{run}.parquet", result.cells, CELL_SCHEMA)
        write_parquet(tmp_path / f"{run}.predictions.parquet", result.predictions, PREDICTIONS_SCHEMA)
        hashes.add(tuple(sha256_file(tmp_path / f"{run}{kind}.parquet") for kind in ("", ".predictions")))
    assert len(hashes) == 1


def test_a_method_gets_the_same_cell_in_any_company(features, identity):
    together = evaluate(features, METHODS, SEEDS, identity)["nmtune"]
    alone = evaluate(features, {"nmtune": METHODS["nmtune"]}, SEEDS, identity)["nmtune"]
    assert together.cells == alone.cells


def test_progress_is_logged_with_the_encoder_and_the_task(features, identity, caplog):
    with caplog.at_level(logging.INFO, logger="nml"):
        evaluate(features, METHODS, SEEDS, identity)
    assert [record.getMessage().split("  ")[0] for record in caplog.records] == [
        "tune emoji/resnet-mini/symmetric-20/s0 shapes"
    ]
    assert "6/6 epochs" in caplog.text


def test_unknown_parameters_are_refused(features, identity):
    with pytest.raises(UserError, match="did you mean 'weight'"):
        evaluate(features, {"nmtune": {**METHODS["nmtune"], "weigth": 1.0}}, SEEDS, identity)
