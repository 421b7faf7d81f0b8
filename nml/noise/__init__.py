"""Noise in pre-training supervision: a function of (seed, sample key), exact in number, nested between ratios.

Each kind is a function of its name: `nml.noise.symmetric(...)`, `nml.noise.swap(...)`. They are imported when first
asked for, so that who only reads an overlay does not depend on the code of the kinds.
"""

import importlib
from collections.abc import Callable
from typing import Any


def __getattr__(kind: str) -> Callable[..., Any]:
    try:
        module = importlib.import_module(f"nml.noise.kinds.{kind}")
    except ModuleNotFoundError:
        raise AttributeError(f"module 'nml.noise' has no attribute '{kind}'") from None
    return getattr(module, kind)
