"""What a tuning method's file says of itself."""

import math
from dataclasses import dataclass, field
from typing import Any

HEADS = {
    "linear": (),
    "mlp": ("tuning/heads/mlp.py",),
    "residual-mlp": ("tuning/heads/residual_mlp.py",),
    "own": (),
}
"""Heads of trained methods, and the files that declare what goes with each; `own` is in the method's file."""
COMMON_PARAMETERS = ("learning_rate", "weight_decay", "epochs", "batch_size")
"""The hyper-parameters of every trained method; the others are a method's own."""
FROZEN = "frozen"
ENCODERS = {
    FROZEN: (),
    "full": ("tuning/whitebox/declaration.py",),
    "lora": ("tuning/whitebox/declaration.py", "tuning/whitebox/lora.py"),
}
"""What a method does to the encoder, and the files that declare what goes with it."""

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class MethodSpec:
    """What a tuning method's file says of itself.

    Attributes
    ----------
    name : str
    trained : bool
        Whether it has the common hyper-parameters, `COMMON_PARAMETERS`.
    head : str
        What a trained method puts on the features: one of `HEADS`; empty for one that is not trained.
    parameters : dict
        Its own hyper-parameters and their defaults; where the default is an integer or a truth value, every value must
        be one.
    bounds : dict
        The smallest and the largest allowed value of an own hyper-parameter; None, or no entry, for no limit.
    per_head : tuple
        The own hyper-parameters that may differ between stacked heads; the loss gets them as tensors [H].
    views : int
        How many views of each sample the loss sees in a step, 1 or 2.
    file : str
        The file that declares it: relative to the root of the project, or absolute if it is not the project's.
    encoder : str
        What it does to the encoder: one of `ENCODERS`.
    choices : dict
        The allowed values of an own hyper-parameter that is a word.
    declared_in : tuple of str
        Other files, like `file`, that declare hyper-parameters of it: of its loss, its head and its encoder.
    """

    name: str
    trained: bool
    head: str = ""
    parameters: dict[str, int | float | str] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    per_head: tuple[str, ...] = ()
    views: int = 1
    file: str = ""
    encoder: str = FROZEN
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    declared_in: tuple[str, ...] = ()

    def allowed(self, parameter: str) -> str:
        """Return in words which values an own hyper-parameter may have, such as `a whole number, at least 1`."""
        if parameter in self.choices:
            return f"one of {', '.join(self.choices[parameter])}"
        if isinstance(self.parameters[parameter], bool):
            return "true or false"
        low, high = self.bounds.get(parameter, (None, None))
        kind = "a whole number" if isinstance(self.parameters[parameter], int) else "a number"
        limits = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        return ", ".join([kind, *limits])

    def accepts(self, parameter: str, value: Any) -> bool:
        """Tell whether an own hyper-parameter may have this value."""
        if parameter in self.choices:
            return value in self.choices[parameter]
        if isinstance(self.parameters[parameter], bool):
            return isinstance(value, bool)
        kinds = int if isinstance(self.parameters[parameter], int) else int | float
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            return False
        low, high = self.bounds.get(parameter, (None, None))
        return (low is None or value >= low) and (high is None or value <= high)
