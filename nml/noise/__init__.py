"""Noise in pre-training supervision: a function of (seed, sample key), exact in number, nested between ratios.

Each kind is a function of its name: `nml.noise.symmetric(...)`, `nml.noise.swap(...)`. They are imported when first
asked for, so that who only reads an overlay does not depend on the code of the kinds.
"""

import importlib
from collections.abc import Callable
from typing import Any

from nml import plugins


def __getattr__(kind: str) -> Callable[..., Any]:
    name = kind.replace("_", "-")
    if name not in plugins.noise_kinds():
        raise AttributeError(f"module 'nml.noise' has no attribute '{kind}'; kinds: {', '.join(plugins.noise_kinds())}")
    return getattr(importlib.import_module(plugins.module_name(plugins.NOISE_KINDS, name)), kind)
