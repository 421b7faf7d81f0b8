"""A small classification problem on features, and one thread: the sizes here gain nothing from more."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@dataclass(frozen=True)
class Problem:
    train_x: np.ndarray
    train_y: np.ndarray
    val_x: np.ndarray
    val_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    num_classes: int = 4

    @property
    def training(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
        return self.train_x, self.train_y, self.val_x, self.val_y, self.num_classes


def make_problem(spread: float, dimensions: int = 12, classes: int = 4) -> Problem:
    """Return Gaussian classes around random centres; a larger spread makes them harder to tell apart."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(classes, dimensions))
    arrays = []
    for samples in (150, 80, 80):
        labels = random.integers(0, classes, samples)
        features = centres[labels] + spread * random.normal(size=(samples, dimensions))
        arrays += [features.astype(np.float32), labels]
    return Problem(*arrays, num_classes=classes)


@pytest.fixture(scope="session")
def easy() -> Problem:
    return make_problem(spread=0.3)


@pytest.fixture(scope="session")
def hard() -> Problem:
    return make_problem(spread=1.5)
