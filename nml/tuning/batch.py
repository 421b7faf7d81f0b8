"""What the heads of one method see and give on one mini-batch: the argument of every method's loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A mini-batch of H stacked heads; each head has its own B samples.

    For methods with `VIEWS = 2`, B is twice the number of samples: one view of each, then in the same order another.

    Attributes
    ----------
    features : Tensor [H, B, D] float32
        Frozen features F, without gradient.
    transformed : Tensor [H, B, D] float32
        Transformed features Z; the features themselves for heads that transform nothing.
    logits : Tensor [H, B, C] float32
    labels : Tensor [H, B] int64
    """

    features: "Tensor"
    transformed: "Tensor"
    logits: "Tensor"
    labels: "Tensor"
