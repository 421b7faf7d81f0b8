"""Classification metrics, as fractions in [0, 1].

Each takes the labels and the predictions, integers [N] of any width with N at least 1, and the number of classes C;
classes count from 0. All raise `ValueError` if there are no samples, the shapes differ, the values are no integers, or
a class is out of range.
"""

import numpy as np


def accuracy(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """Return the fraction of samples that are predicted right."""
    return float(np.trace(_confusion(labels, predictions, num_classes)) / len(labels))


def mean_per_class_accuracy(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """Return the mean of the classes' recalls, over the classes that occur in the labels.

    It is scikit-learn's `balanced_accuracy_score`.
    """
    confusion = _confusion(labels, predictions, num_classes)
    sizes = confusion.sum(axis=1)
    return float(np.mean(np.diag(confusion)[sizes > 0] / sizes[sizes > 0]))


def macro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """Return the mean of the classes' F1 scores, over the classes that occur in the labels or the predictions.

    F1 = 2 TP / (2 TP + FP + FN). It is scikit-learn's `f1_score(average="macro")`.
    """
    confusion = _confusion(labels, predictions, num_classes)
    sizes = confusion.sum(axis=1) + confusion.sum(axis=0)
    return float(np.mean(2 * np.diag(confusion)[sizes > 0] / sizes[sizes > 0]))


def _confusion(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the counts int64 [C, C] of label (row) and prediction (column)."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or len(labels) == 0 or labels.shape != predictions.shape:
        raise ValueError(f"labels of shape {labels.shape} and predictions of {predictions.shape}: need one each, not 0")
    rows, columns = _classes("labels", labels, num_classes), _classes("predictions", predictions, num_classes)
    pairs = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def _classes(name: str, values: np.ndarray, num_classes: int) -> np.ndarray:
    """Return checked classes as int64 [N]; the product of two classes leaves the range of narrower types."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} have the type {values.dtype}; they must be integers")
    if values.min() < 0 or values.max() >= num_classes:
        raise ValueError(f"{name} from {values.min()} to {values.max()}; allowed are 0 to {num_classes - 1}")
    return values.astype(np.int64)
