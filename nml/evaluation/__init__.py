"""Evaluation: metrics, spectra of feature spaces, and the rows of cells."""

from nml.evaluation.metrics import accuracy, macro_f1, mean_per_class_accuracy
from nml.evaluation.spectrum import largest_singular_value_ratio, singular_value_entropy, singular_values

__all__ = [
    "accuracy",
    "largest_singular_value_ratio",
    "macro_f1",
    "mean_per_class_accuracy",
    "singular_value_entropy",
    "singular_values",
]
