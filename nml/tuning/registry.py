"""The code of a tuning method, and its hyper-parameters with their defaults.

A method is one file, `nml/tuning/methods/<name>.py` (a dash in the name is an underscore in the file), with a docstring
and these literals, which `nml.plugins` reads and checks without importing the file:

- `TRAINED`: True if the method is trained, and so needs a learning rate, epochs and a batch size;
- `HEAD`: what it puts on the features, `constant`, `linear` or `mlp` (see `nml.tuning.heads`);
- `PARAMETERS`: its own hyper-parameters, all of them numbers, and their defaults (an `mlp` head needs `width`);
- `BOUNDS`, optional: the smallest and the largest allowed value of an own hyper-parameter, None for no limit.

A trained method defines `loss(batch, parameters) -> Tensor [H]`, one that is not trained
`scores(labels, num_classes, parameters) -> Tensor [C]`.
"""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from nml import plugins
from nml.errors import UserError


def load(name: str) -> ModuleType:
    """Import a method's module (and with it torch); raise `UserError` if there is no such method."""
    return importlib.import_module(plugins.module_name(plugins.METHODS, plugins.tuning_method(name).name))


def complete(name: str, given: Mapping[str, Any]) -> dict[str, int | float]:
    """Return a method's own hyper-parameters: the given values, and the defaults of the others.

    Raises
    ------
    UserError
        If there is no such method, or a given name or value is not one that it allows.
    """
    spec = plugins.tuning_method(name)
    for key, value in given.items():
        if key not in spec.parameters:
            meant = plugins.nearest(key, spec.parameters)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            own = ", ".join(spec.parameters) or "none"
            raise UserError(f"method '{name}' has no parameter '{key}'{hint}; its own: {own}")
        if not spec.accepts(key, value):
            raise UserError(f"method '{name}': {key} is {value!r}; it must be {spec.allowed(key)}")
    return {**spec.parameters, **given}
