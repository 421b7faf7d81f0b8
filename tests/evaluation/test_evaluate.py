"""From features to cells: what is returned, what it depends on, and what it must not depend on."""

import json
import logging
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from nml.artifacts import sha256_file, write_parquet
from nml.errors import UserError
from nml.evaluation import evaluate as evaluate_module
from nml.evaluation import singular_value_entropy
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA
from nml.evaluation.evaluate import Diverged, evaluate
from nml.features.store import Split
from nml.tasks.fractions import fraction_indices
from nml.tuning.engine import FittedHeads
from nml.tuning.specs import HeadSpec, stacks_of

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
    factors = {"consistency": 1.0, "covariance": 1.0, "dominant_singular_value": 1.0}
    expected = {"weight": 0.05, **factors, "k": 1, "width": 1.0, "depth": 2}
    common = {"learning_rate": 0.01, "weight_decay": 1e-4, "epochs": 3, "batch_size": 32}
    assert found["hyperparameters"] == {**common, **expected}
    assert set(found["selected_epoch"]) == set(found["validation_accuracy"]) == {"0", "1"}
    assert all(1 <= epoch <= 3 for epoch in found["selected_epoch"].values())
    assert found["wall_seconds"] > 0
    assert 2**20 < found["process_peak_memory_bytes"] < 2**50
    assert results["majority"].metadata["hyperparameters"] == {}


def test_metadata_tell_the_spectrum_of_what_a_classifier_sees(features, identity):
    """Linear probing leaves the features as they are, an MLP does not; a method without training has none."""
    results = evaluate(features, METHODS, SEEDS, identity, fractions=(100, 50))
    about = {name: result.metadata["spectra"] for name, result in results.items()}
    assert about["majority"] == {}
    for name, split in features.tests.items():
        plain = singular_value_entropy(split.features)
        assert about["lp"][name]["sve"] == pytest.approx(plain, abs=1e-4)
        assert abs(about["nmtune"][name]["sve"] - plain) > 0.01
    parts = results["nmtune"].metadata["fractions"]
    assert parts["100"]["spectra"] == about["nmtune"] != parts["50"]["spectra"]


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


def test_a_cell_is_the_same_in_any_company(features, identity):
    """So one that is put back, and one that is made anew, are the same: variants of a method share no stack."""
    variants = {
        name: METHODS["nmtune"] | {"method": "nmtune", "weight": w} for name, w in (("weak", 0.01), ("same", 0.05))
    }
    together = evaluate(features, METHODS | variants, SEEDS, identity)
    alone = evaluate(features, {"nmtune": METHODS["nmtune"]}, SEEDS, identity)["nmtune"]
    for part in ("cells", "predictions"):
        columns = getattr(together["nmtune"], part)
        for name, values in getattr(alone, part).items():
            np.testing.assert_array_equal(columns[name], values)
    chosen = ("validation_accuracy", "selected_epoch", "hyperparameters")
    assert all(together["nmtune"].metadata[key] == alone.metadata[key] for key in chosen)


def test_heads_of_several_cells_share_no_stack():
    heads = [
        HeadSpec("lp", seed, 0.1, epochs=1, batch_size=8, cell=cell) for cell in ("lp", "probe") for seed in (0, 1)
    ]
    assert stacks_of(heads) == [[0, 1], [2, 3]]
    assert len(stacks_of([HeadSpec("knn", 0, cell=cell) for cell in ("a", "b")])) == 2


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


SEARCH = {
    "lp": {"learning_rate": [1e-5, 0.1], "weight_decay": [0.0, 0.01], "epochs": 2, "batch_size": 32},
    "knn": {"k": [1, 90], "temperature": 1.0},
    "strong": {"method": "nmtune", "learning_rate": 0.01, "epochs": 2, "batch_size": 32, "weight": [0.0, 1e3]},
}


def test_a_variant_has_its_own_cell_and_names_its_method(features, identity):
    values = METHODS["nmtune"] | {"method": "nmtune", "k": 2}
    results = evaluate(features, {"nmtune": METHODS["nmtune"], "nmtune-k2": values}, SEEDS, identity)
    assert set(results["nmtune-k2"].cells["method"]) == {"nmtune-k2"}
    assert results["nmtune-k2"].metadata["method"] == "nmtune"
    assert results["nmtune-k2"].metadata["hyperparameters"]["k"] == 2


def test_a_search_chooses_the_best_mean_validation_accuracy(features, identity):
    """It tries every combination, says what it chose and among what, and its cells are those of the chosen alone."""
    results = evaluate(features, SEARCH, SEEDS, identity)
    for name, values in SEARCH.items():
        found = results[name].metadata
        tried = found["search"]
        assert len(tried) == {"lp": 4, "knn": 2, "strong": 2}[name]
        best = max(tried, key=lambda one: one["validation_accuracy"])
        chosen = {key: value for key, value in best.items() if key != "validation_accuracy"}
        assert chosen.items() <= found["hyperparameters"].items()
        assert best["validation_accuracy"] == pytest.approx(np.mean(list(found["validation_accuracy"].values())))
        alone = evaluate(features, {name: values | chosen}, SEEDS, identity)[name]
        assert alone.cells == results[name].cells
        assert "search" not in alone.metadata
    assert results["lp"].metadata["hyperparameters"]["learning_rate"] == 0.1
    assert results["knn"].metadata["hyperparameters"]["k"] == 1


def test_test_labels_do_not_reach_the_search(features, identity):
    before, after = (evaluate(one, SEARCH, SEEDS, identity) for one in (features, relabelled(features)))
    for name in SEARCH:
        assert before[name].metadata["search"] == after[name].metadata["search"]
        assert before[name].metadata["hyperparameters"] == after[name].metadata["hyperparameters"]


def test_a_search_leaves_candidates_out_that_diverge(features, identity):
    values = METHODS["nmtune"] | {"learning_rate": [1e30, 0.01]}
    found = evaluate(features, {"nmtune": values}, SEEDS, identity)["nmtune"].metadata
    assert found["hyperparameters"]["learning_rate"] == 0.01
    assert found["search"][0] == {"learning_rate": 1e30, "validation_accuracy": None}
    with pytest.raises(UserError, match=r"diverged at learning rate 1e\+30"):
        evaluate(features, {"nmtune": values | {"learning_rate": [1e30, 1e31]}}, SEEDS, identity)


def test_a_method_that_diverges_is_named_by_its_entry_and_leaves_the_others_their_results(features, identity):
    values = METHODS["nmtune"] | {"method": "nmtune", "learning_rate": 1e30}
    with pytest.raises(Diverged) as caught:
        evaluate(features, METHODS | {"strong": values}, SEEDS, identity)
    assert str(caught.value) == (
        "emoji/resnet-mini/symmetric-20/s0 on shapes: method 'strong' diverged at learning rate 1e+30; lower it or "
        "rescale the features (methods.strong.learning_rate). The other methods' cells are kept: the next run puts "
        "them back"
    )
    alone = evaluate(features, METHODS, SEEDS, identity)
    assert caught.value.results.keys() == alone.keys()
    assert all(caught.value.results[name].cells == alone[name].cells for name in METHODS)


def test_every_fraction_has_its_rows_and_its_choice(features, identity):
    """A cell of several fractions holds, for each, what a task with these samples alone gives."""
    methods = SEARCH | {"majority": {}}
    results = evaluate(features, methods, SEEDS, identity, fractions=[10, 100])
    whole = evaluate(features, methods, SEEDS, identity)
    part = fraction_indices(features.train.labels, features.train.keys, 10)
    train = features.train
    few = Split(train.features[part], train.labels[part], [train.keys[place] for place in part])
    tenth = evaluate(replace(features, train=few), methods, SEEDS, identity)
    for name, result in results.items():
        table, predictions = pd.DataFrame(result.cells), pd.DataFrame(result.predictions)
        for fraction, alone in ((10, tenth[name]), (100, whole[name])):
            rows = table[table["fraction"] == fraction].drop(columns="fraction").reset_index(drop=True)
            pd.testing.assert_frame_equal(rows, pd.DataFrame(alone.cells).drop(columns="fraction"))
            some = predictions[predictions["fraction"] == fraction].drop(columns="fraction").reset_index(drop=True)
            pd.testing.assert_frame_equal(some, pd.DataFrame(alone.predictions).drop(columns="fraction"))
            found = result.metadata["fractions"][str(fraction)]
            assert found["hyperparameters"] == alone.metadata["hyperparameters"]
        assert result.metadata["hyperparameters"] == whole[name].metadata["hyperparameters"]


def test_the_seconds_of_a_method_are_those_of_all_its_heads(features, identity, monkeypatch):
    """Candidates that are not chosen count too, and nothing twice."""
    fitted = evaluate_module.fit

    def fit_in_a_second_a_head(*arguments, **options):
        heads = fitted(*arguments, **options)
        return replace(heads, seconds=np.ones(len(heads.specs)))

    values = METHODS["nmtune"]
    methods = {"nmtune": values, "other": values | {"method": "nmtune", "weight": [0.1, 0.2, 0.3]}}
    started = time.perf_counter()
    seconds = [result.metadata["wall_seconds"] for result in evaluate(features, methods, SEEDS, identity).values()]
    assert 0 < sum(seconds) < time.perf_counter() - started
    monkeypatch.setattr(evaluate_module, "fit", fit_in_a_second_a_head)
    counted = evaluate(features, methods, SEEDS, identity)
    assert {name: result.metadata["wall_seconds"] for name, result in counted.items()} == {"nmtune": 2, "other": 6}


def test_one_view_for_a_method_that_wants_two_is_said_once(features, identity, caplog):
    caplog.set_level(logging.INFO, logger="nml")
    methods = {name: METHODS["nmtune"] | {"method": "nmtune-released"} for name in ("one", "two")}
    methods = {name: {key: value for key, value in own.items() if key != "weight"} for name, own in methods.items()}
    evaluate(features, methods, SEEDS, identity)
    assert sum("two views of an image are the same" in line for line in caplog.messages) == 1
    caplog.clear()
    views = np.stack([features.train.features, features.train.features])
    evaluate(replace(features, views=views), methods, SEEDS, identity)
    assert not any("two views" in line for line in caplog.messages)


def test_training_draws_from_all_views(features, identity):
    """Views that are another task's features make another head, and methods that are not trained see the first."""
    views = np.stack([features.train.features, features.train.features[::-1]])
    methods = METHODS | {"knn": {}}
    plain, seen = (evaluate(one, methods, SEEDS, identity) for one in (features, replace(features, views=views)))
    for name in ("majority", "knn"):
        assert plain[name].cells == seen[name].cells
    assert not np.array_equal(plain["lp"].predictions["prediction"], seen["lp"].predictions["prediction"])


def test_each_method_draws_from_as_many_views_as_it_asks_for(features, identity):
    """Of features that hold more views than it asks for, its cell is that of features that hold no more."""
    images = features.train.features
    views = np.stack([images, images[::-1], images + 1])
    methods = {f"lp-{count}": METHODS["lp"] | {"method": "lp", "views": count} for count in (1, 2, 3)}
    asked = evaluate(replace(features, views=views), methods, SEEDS, identity)
    for count in (1, 2, 3):
        name, held = f"lp-{count}", views[:count] if count > 1 else None
        alone = evaluate(replace(features, views=held), {name: METHODS["lp"] | {"method": "lp"}}, SEEDS, identity)
        np.testing.assert_array_equal(asked[name].predictions["prediction"], alone[name].predictions["prediction"])
        assert asked[name].metadata["views"] == alone[name].metadata["views"] == count
    assert len({tuple(result.predictions["prediction"]) for result in asked.values()}) == 3


def test_of_candidates_with_equal_sums_of_right_predictions_the_first_is_chosen():
    """The means of 0.3, 0.2, 0.1 and of 0.1, 0.2, 0.3 differ by a rounding error."""
    specs = [HeadSpec("lp", seed, rate) for rate in (0.1, 0.2) for seed in range(3)]
    correct = np.array([3, 2, 1, 1, 2, 3])
    assert (correct[:3] / 10).mean() < (correct[3:] / 10).mean()
    heads = FittedHeads(specs, np.ones(6), correct, 10, np.ones(6), [], 8, torch.device("cpu"))
    choice = evaluate_module._choose(heads, {("lp", 100): specs}, seeds=3)["lp", 100]
    assert choice.heads == [0, 1, 2]
    assert choice.accuracies[0] == choice.accuracies[1] == pytest.approx(0.2)
