"""What can be wrong with the declaration of a tuning method."""

import math
from typing import Any

from nml.plugins.declarations import lacks
from nml.plugins.method_spec import COMMON_PARAMETERS, ENCODERS, FROZEN, HEADS, MethodSpec


def literals_problem(literals: dict[str, Any]) -> str | None:
    """Say what a method's own file does not declare, or None."""
    return lacks(literals, "TRAINED", bool) or lacks(literals, "PARAMETERS", dict)


def spec_problem(spec: MethodSpec) -> str | None:
    """Say what does not fit together in a method, or None."""
    return _encoder_problem(spec) or _head_problem(spec) or _parameters_problem(spec)


def _encoder_problem(spec: MethodSpec) -> str | None:
    if spec.encoder not in ENCODERS:
        return f"ENCODER is '{spec.encoder}'; allowed: {', '.join(ENCODERS)}"
    if spec.encoder != FROZEN and spec.head != "linear":
        return f"ENCODER is '{spec.encoder}' and HEAD '{spec.head}'; a tuned encoder has a 'linear' head"
    if spec.encoder != FROZEN and spec.views != 1:
        return f"ENCODER is '{spec.encoder}' and VIEWS {spec.views}; a tuned encoder sees one view of each image"
    if spec.encoder != FROZEN and spec.per_head:
        return f"ENCODER is '{spec.encoder}', and there is PER_HEAD; encoders are tuned one by one: leave it out"
    return None


def _head_problem(spec: MethodSpec) -> str | None:
    if not spec.trained:
        return f"HEAD is '{spec.head}', but TRAINED is False; only trained methods have a head" if spec.head else None
    if spec.head not in HEADS:
        return f"HEAD is '{spec.head}'; allowed: {', '.join(HEADS)}"
    if spec.views not in (1, 2):
        return f"VIEWS is {spec.views}; allowed: 1 or 2"
    return None


def _parameters_problem(spec: MethodSpec) -> str | None:
    if clash := sorted(set(spec.parameters) & set(COMMON_PARAMETERS)):
        return f"PARAMETERS has {', '.join(clash)}, which all trained methods have; leave it out"
    if not _are_choices(spec.choices, spec.parameters):
        return 'CHOICES must give own parameters their words, such as {"targets": ("auto", "all")}'
    for key, default in spec.parameters.items():
        is_switch = isinstance(default, bool) and key not in spec.bounds
        if key not in spec.choices and not is_switch and not _is_number(default):
            return f"PARAMETERS gives '{key}' the default {default!r}; it must be a finite number, or have CHOICES"
    if unknown := sorted(set(spec.per_head) - set(spec.parameters)):
        return f"PER_HEAD names {', '.join(unknown)}, which PARAMETERS has not"
    if not _are_bounds(spec.bounds, spec.parameters):
        return 'BOUNDS must give own parameters their (smallest, largest), such as {"k": (1, None)}'
    for key, default in spec.parameters.items():
        if not spec.accepts(key, default):
            return f"PARAMETERS gives '{key}' the default {default!r}, and BOUNDS allows {spec.allowed(key)}"
    return None


def _are_bounds(bounds: Any, parameters: dict[str, Any]) -> bool:
    return isinstance(bounds, dict) and all(
        key in parameters
        and isinstance(pair, tuple)
        and len(pair) == 2
        and all(limit is None or _is_number(limit) for limit in pair)
        for key, pair in bounds.items()
    )


def _are_choices(choices: dict[str, Any], parameters: dict[str, Any]) -> bool:
    return all(
        key in parameters and isinstance(words, tuple) and words and all(isinstance(word, str) for word in words)
        for key, words in choices.items()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
