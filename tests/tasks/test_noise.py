"""Label noise of tasks: in training and validation labels, nested, the same for every encoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nml import plugins
from nml.errors import UserError
from nml.grid import Noise
from nml.noise import symmetric
from nml.seeds import derive_seed
from nml.tasks.noise import noisy_labels

LABELS = np.arange(300) % 3
KEYS = [f"{number:07d}" for number in range(300)]


def noisy(noise: Noise, split: str = "train", task: str = "fashion", seed: int = 0) -> np.ndarray:
    return noisy_labels(LABELS, KEYS, 3, noise, task, split, seed)


@pytest.mark.parametrize("split", ["train", "val"])
def test_exactly_the_asked_share_of_training_and_validation_labels_is_wrong(split: str) -> None:
    changed = noisy(Noise("symmetric", 20), split) != LABELS
    assert [changed[label == LABELS].sum() for label in range(3)] == [20, 20, 20]


def test_it_is_the_noise_of_pre_training_with_a_seed_of_its_own() -> None:
    expected = symmetric(LABELS, KEYS, 3, 0.2, derive_seed("task", "fashion", "val", 7))
    assert (noisy(Noise("symmetric", 20), "val", seed=7) == expected).all()


def test_test_labels_and_clean_tasks_are_left_alone() -> None:
    assert (noisy(Noise("symmetric", 20), "test") == LABELS).all()
    assert (noisy(Noise()) == LABELS).all()


@given(st.integers(1, 99), st.integers(1, 99), st.sampled_from(plugins.task_noise_kinds()))
def test_what_is_wrong_at_one_ratio_is_as_wrong_at_a_higher_one(first: int, second: int, kind: str) -> None:
    few, many = (noisy(Noise(kind, percent)) for percent in sorted((first, second)))
    assert (few[few != LABELS] == many[few != LABELS]).all()


def test_tasks_splits_and_seeds_have_noise_of_their_own() -> None:
    noise = Noise("symmetric", 50)
    others = [noisy(noise), noisy(noise, "val"), noisy(noise, task="icons"), noisy(noise, seed=1)]
    assert len({labels.tobytes() for labels in others}) == 4


@pytest.mark.parametrize("kind", ["swap", "asymmetric", "unheard-of"])
def test_what_is_no_noise_of_a_task_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match=rf"'{kind}' is no noise of a task's labels\. Allowed: class-prior, symmetric"):
        noisy(Noise(kind, 20))


def test_a_task_of_one_class_says_why_it_cannot_be_noisy() -> None:
    with pytest.raises(UserError, match=r"task 'dots\+symmetric-20': its train labels .* at least 2 classes"):
        noisy_labels(np.zeros(3, dtype=np.int64), ["a", "b", "c"], 1, Noise("symmetric", 20), "dots", "train")
