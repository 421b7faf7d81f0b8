"""Metrics agree with scikit-learn, also where classes are absent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from nml.evaluation import accuracy, macro_f1, mean_per_class_accuracy

CLASSES = 6
PAIRS = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


@given(PAIRS)
def test_metrics_agree_with_scikit_learn(pairs):
    labels, predictions = np.array(pairs).T
    present = np.unique(labels)
    recall = recall_score(labels, predictions, labels=present, average="macro", zero_division=0)
    assert accuracy(labels, predictions, CLASSES) == pytest.approx(accuracy_score(labels, predictions))
    assert mean_per_class_accuracy(labels, predictions, CLASSES) == pytest.approx(recall)
    assert macro_f1(labels, predictions, CLASSES) == pytest.approx(f1_score(labels, predictions, average="macro"))


@given(PAIRS, st.permutations(range(CLASSES)))
def test_metrics_do_not_depend_on_the_names_of_classes(pairs, names):
    labels, predictions = np.array(pairs).T
    renamed = np.array(names)
    for metric in (accuracy, mean_per_class_accuracy, macro_f1):
        before, after = metric(labels, predictions, CLASSES), metric(renamed[labels], renamed[predictions], CLASSES)
        assert before == pytest.approx(after)


def test_known_answers():
    labels, predictions = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 3, 2])
    assert accuracy(labels, predictions, 5) == pytest.approx(4 / 6)
    assert mean_per_class_accuracy(labels, predictions, 5) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert macro_f1(labels, predictions, 5) == pytest.approx((4 / 5 + 1 / 2 + 1 + 0) / 4)


@pytest.mark.parametrize("metric", [accuracy, mean_per_class_accuracy, macro_f1])
def test_impossible_inputs_are_refused(metric):
    with pytest.raises(ValueError, match="need one each"):
        metric(np.array([], dtype=int), np.array([], dtype=int), 3)
    with pytest.raises(ValueError, match="need one each"):
        metric(np.array([0, 1]), np.array([0]), 3)
    with pytest.raises(ValueError, match="labels from 0 to 3"):
        metric(np.array([0, 3]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="predictions from -1"):
        metric(np.array([0, 1]), np.array([0, -1]), 3)


@pytest.mark.parametrize("dtype", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)])
def test_the_width_of_the_integers_does_not_matter(dtype):
    """Products of two classes leave the range of narrow types."""
    classes = min(240, np.iinfo(dtype).max + 1)
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, 3000)
    predictions = np.where(random.random(3000) < 0.5, labels, random.integers(0, classes, 3000))
    for metric in (accuracy, mean_per_class_accuracy, macro_f1):
        expected = metric(labels, predictions, classes)
        assert metric(labels.astype(dtype), predictions.astype(dtype), classes) == expected
    assert expected == pytest.approx(f1_score(labels, predictions, average="macro"))


@pytest.mark.parametrize("dtype", [float, bool, str, object])
def test_classes_that_are_no_integers_are_refused(dtype):
    with pytest.raises(ValueError, match=r"predictions have the type .*; they must be integers"):
        accuracy(np.array([0, 1]), np.array([0, 1]).astype(dtype), 2)
