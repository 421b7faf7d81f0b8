"""The code of a tuning method, and its hyper-parameters with their defaults.

A method is one file: `nml/tuning/methods/<name>.py` (a dash in the name is an underscore in the file), or a file of
one's own that the configuration names by its path. It has a docstring and these literals, which `nml.plugins` reads and
checks without importing the file:

- `TRAINED`: True if the method is trained by mini-batches, and so needs a learning rate, epochs and a batch size;
- `HEAD`, if it is trained: what it puts on the features, `linear`, `mlp`, `residual-mlp` or `own` (see
  `nml.tuning.heads`);
- `ENCODER`, optional: what it does to the encoder, `frozen` (if not given), `full` or `lora`; with the last two,
  it is a white-box method (`nml.tuning.whitebox`), has a linear head, one view and no `PER_HEAD`;
- `PARAMETERS`: its own hyper-parameters and their defaults, each a number, a truth value, or a word of its `CHOICES`;
  those of its head and of what it does to the encoder (`heads/*.py`, `whitebox/declaration.py`, `whitebox/lora.py`)
  are added, and their defaults may be replaced;
- `BOUNDS`, optional: the smallest and the largest allowed value of an own hyper-parameter, None for no limit;
- `CHOICES`, optional: the allowed words of an own hyper-parameter;
- `EXTENDS`, optional: a file beside it whose `PARAMETERS`, `BOUNDS` and `CHOICES` it has too, under its own;
- `PER_HEAD`, optional: the own hyper-parameters that the loss takes as tensors [H], one value a head, so that heads
  which differ in them alone train in one stack;
- `VIEWS`, optional: 2 if the loss wants two views of each sample in a batch (see `nml.tuning.batch`).

A trained method defines `loss(batch, parameters) -> Tensor [H]`, and with `HEAD = "own"` the head's `initial` and
`forward` too. With `HEAD = "linear"`, where the loss depends on the logits alone, it may also define
`logit_gradient(batch, parameters) -> Tensor [H, B, C]`, the gradient of the losses' sum in the logits, which is faster.

One that is not trained defines `fit(samples, candidates) -> (scores, parameters)`: for a
`nml.tuning.data.TrainingSet` and K sets of own hyper-parameters it returns a function and stacked tensors [K, ...];
from these and features [B, D], the function gives the scores [K, B, C].
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from nml import plugins
from nml.errors import UserError, nearest


@cache
def load(name: str) -> ModuleType:
    """Import a method's module (and with it torch) by name or path.

    Raises
    ------
    UserError
        If there is no such method, or it has a `logit_gradient` and no linear head.
    """
    spec = plugins.tuning_method(name)
    if name.endswith(".py"):
        module = _import_file(Path(spec.file))
    else:
        module = importlib.import_module(plugins.module_name(plugins.METHODS, spec.name))
    if hasattr(module, "logit_gradient") and spec.head != "linear":
        raise UserError(f"{spec.file}: HEAD is '{spec.head}'; only a method with a 'linear' head has a logit_gradient")
    return module


def _import_file(path: Path) -> ModuleType:
    name = f"nml_method_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    found = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def complete(name: str, given: Mapping[str, Any]) -> dict[str, int | float | str]:
    """Return a method's own hyper-parameters: the given values, and the defaults of the others.

    Raises
    ------
    UserError
        If there is no such method, or a given name or value is not one that it allows.
    """
    spec = plugins.tuning_method(name)
    for key, value in given.items():
        if key not in spec.parameters:
            meant = nearest(key, spec.parameters)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            own = ", ".join(spec.parameters) or "none"
            raise UserError(f"method '{name}' has no parameter '{key}'{hint}; its own: {own}")
        if not spec.accepts(key, value):
            raise UserError(f"method '{name}': {key} is {value!r}; it must be {spec.allowed(key)}")
    return {**spec.parameters, **given}
