"""A task with two test sets, and the identity of its encoder."""

import numpy as np
import pytest

from nml.features.store import Split, TaskFeatures


def make_split(name: str, samples: int) -> Split:
    random = np.random.default_rng(list(name.encode()))
    labels = random.integers(0, 3, samples)
    features = np.eye(8)[labels] + 0.2 * random.normal(size=(samples, 8))
    return Split(features.astype(np.float32), labels, [f"{name}/{index}" for index in range(samples)])


@pytest.fixture
def features() -> TaskFeatures:
    return TaskFeatures(
        task="shapes",
        num_classes=3,
        train=make_split("train", 90),
        validation=make_split("val", 30),
        tests={"sketch": make_split("sketch", 40), "photo": make_split("photo", 25)},
        groups={"sketch": "ood", "photo": "source"},
    )


@pytest.fixture
def identity() -> dict:
    return {
        "corpus": "emoji",
        "recipe": "resnet-mini",
        "noise_kind": "symmetric",
        "noise_percent": 20.0,
        "pretrain_seed": 0,
    }
