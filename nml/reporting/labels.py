"""The names of the outputs, and the words and the order in which a reader meets encoders, methods and metrics."""

from nml.grid import CLEAN, RELEASED, UNTRAINED

TABLES = (
    "claims",
    "cells",
    "averages",
    "differences",
    "ranks",
    "fractions",
    "ablations",
    "per_task",
    "published",
    "zoo",
    "spectra",
    "tuned_spectra",
    "singular_values",
    "associations",
    "pretraining",
    "learning",
    "run_times",
    "cost",
    "datasets",
    "matrix",
)
FIGURES = (
    "noise_curves",
    "fraction_curves",
    "spectrum_scatter",
    "pretraining_accuracy",
    "learning_curves",
    "spectrum_decay",
    "tuned_spectrum_curves",
    "critical_difference",
    "per_task_curves",
    "run_time",
)

HEADLINE_METRIC = "accuracy"
HEADLINE_GROUPS = ("id", "ood")
MAJORITY = "majority"

METHODS = {
    "lp": "LP",
    "mlp": "MLP",
    "nmtune": "NMTune",
    "ft": "FT",
    "ft-nmtune": "NMTune (FT)",
    "lora": "LoRA",
    "lora-nmtune": "NMTune (LoRA)",
    MAJORITY: "majority class",
}
METRICS = {
    "accuracy": "accuracy",
    "mean_per_class_accuracy": "mean per-class accuracy",
    "macro_f1": "macro F1",
}
OBJECTIVES = {"supervised": "supervised", "contrastive": "image-text"}
_NOISE_KINDS_LAST = (RELEASED, UNTRAINED, MAJORITY)


def method_label(method: str) -> str:
    """Return the method's name as papers print it."""
    return METHODS.get(method, method)


def method_rank(method: str) -> tuple[int, str]:
    """Return a sort key: the known methods in their usual order, then the others by name."""
    known = list(METHODS)
    return (known.index(method) if method in known else len(known), method)


def p_label(p: float) -> str:
    """Return a p-value as a reader meets it after `p`: `= 0.013`, or `< 0.001` where rounding would give zero."""
    return f"= {p:.3f}" if p >= 0.0005 else "< 0.001"


def noise_rank(kind: str, percent: float) -> tuple[int, str, float]:
    """Return a sort key: clean first, then each kind by its ratio, and the controls last."""
    late = _NOISE_KINDS_LAST.index(kind) + 2 if kind in _NOISE_KINDS_LAST else 1
    return (0 if kind == CLEAN else late, kind, percent)


def noise_label(kind: str, percent: float) -> str:
    """Return how a table names a noise, such as `symmetric 20 %`."""
    if kind == MAJORITY:
        return METHODS[MAJORITY]
    return f"{kind} {percent:g} %" if percent > 0 else kind
