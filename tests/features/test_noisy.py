"""A task with label noise has the clean task's features, other training labels, and clean tests."""

import numpy as np
import pytest

from nml.features.noisy import with_label_noise
from nml.features.store import Split, TaskFeatures
from nml.grid import TaskAddress
from nml.tasks.noise import noisy_labels


def split(name: str, count: int) -> Split:
    features = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
    return Split(features, np.arange(count) % 5, [f"{name}{number}" for number in range(count)])


@pytest.fixture
def clean() -> TaskFeatures:
    tests = {"test": split("test", 30), "test-far": split("far", 20)}
    return TaskFeatures("toy", 5, split("train", 100), split("val", 50), tests, {"test": "id", "test-far": "ood"})


def test_only_the_training_and_validation_labels_change(clean: TaskFeatures) -> None:
    address = TaskAddress.parse("toy+symmetric-40")
    noisy, _ = with_label_noise(clean, address, seed=3)
    for name, before, after in (("train", clean.train, noisy.train), ("val", clean.validation, noisy.validation)):
        expected = noisy_labels(before.labels, before.keys, 5, address.noise, "toy", name, 3)
        assert after.labels.tolist() == expected.tolist() != before.labels.tolist()
        assert after.features is before.features and after.keys == before.keys
    assert noisy.tests is clean.tests


def test_its_results_have_groups_of_their_own(clean: TaskFeatures) -> None:
    noisy, _ = with_label_noise(clean, TaskAddress.parse("toy+symmetric-40"), seed=0)
    assert noisy.task == "toy+symmetric-40"
    assert noisy.groups == {"test": "id+symmetric-40", "test-far": "ood+symmetric-40"}


def test_the_realised_share_is_recorded(clean: TaskFeatures) -> None:
    noisy, record = with_label_noise(clean, TaskAddress.parse("toy+symmetric-released-50"), seed=0)
    changed = int((noisy.train.labels != clean.train.labels).sum())
    assert 25 < changed < 50
    assert record["noise"] == "symmetric-released-50"
    assert record["train"] == {"samples": 100, "changed": changed, "realised_percent": float(changed)}
    assert record["val"]["samples"] == 50
