"""AdamW for stacked heads: one update for all of them, with a learning rate and a weight decay per head."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, 2019), with a cosine schedule to zero and no warm-up.

    Every step of a head equals a step of `torch.optim.AdamW` with its default betas and epsilon, followed by one of
    `torch.optim.lr_scheduler.CosineAnnealingLR` over `total_steps`.

    Parameters
    ----------
    parameters : list of Tensor [H, ...]
        Updated in place by `step`.
    learning_rates, weight_decays : Tensor [H]
        On the device and of the type of the parameters.
    total_steps : int
        Number of steps after which the learning rate is zero.
    """

    def __init__(
        self, parameters: Sequence[Tensor], learning_rates: Tensor, weight_decays: Tensor, total_steps: int
    ) -> None:
        self.parameters = parameters
        self.learning_rates = learning_rates
        self.weight_decays = weight_decays if bool(weight_decays.any()) else None
        self.total_steps = total_steps
        self.steps = 0
        self.means = [torch.zeros_like(parameter) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in parameters]
        self.scratch = [torch.empty_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move every parameter by one step along its gradient, in the order of the parameters."""
        rates = self.learning_rates * _cosine(self.steps, self.total_steps)
        self.steps += 1
        # The bias corrections are moved out of the tensors: two passes over the parameters less.
        correction = math.sqrt(1 - BETA2**self.steps)
        moves = rates * (-correction / (1 - BETA1**self.steps))
        keeps = None if self.weight_decays is None else 1 - rates * self.weight_decays
        for parameter, gradient, mean, square, scratch in zip(
            self.parameters, gradients, self.means, self.squares, self.scratch, strict=True
        ):
            per_head = (-1,) + (1,) * (parameter.dim() - 1)
            if keeps is not None:
                parameter.mul_(keeps.view(per_head))
            mean.lerp_(gradient, 1 - BETA1)
            square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            torch.sqrt(square, out=scratch).add_(EPSILON * correction)
            torch.div(mean, scratch, out=scratch)
            parameter.addcmul_(scratch, moves.view(per_head))


class FusedAdamW:
    """The same, by PyTorch's fused kernel: one pass over the parameters instead of eight, which large ones wait for.

    Parameters as of `AdamW`. Neighbouring heads with equal rates are updated together. The kernel is called without
    `torch.optim.AdamW` around it, whose first step imports as much as PyTorch itself, and whose every step takes as
    long as all else of a small head's.
    """

    def __init__(
        self, parameters: Sequence[Tensor], learning_rates: Tensor, weight_decays: Tensor, total_steps: int
    ) -> None:
        rates = list(zip(learning_rates.tolist(), weight_decays.tolist(), strict=True))
        states = [(value.detach(), torch.zeros_like(value), torch.zeros_like(value)) for value in parameters]
        self.runs = [
            (run, *rates[run.start], [[tensor[run] for tensor in kind] for kind in zip(*states, strict=True)])
            for run in _runs(rates)
        ]
        self.steps = [torch.zeros((), device=parameters[0].device)] * len(parameters)
        self.total_steps = total_steps
        self.taken = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move every parameter by one step along its gradient, in the order of the parameters."""
        share = _cosine(self.taken, self.total_steps)
        self.taken += 1
        self.steps[0].fill_(self.taken)
        for run, rate, decay, (parameters, means, squares) in self.runs:
            torch._fused_adamw_(
                parameters,
                # The kernel takes the memory of a gradient as it lies, whatever its strides.
                [gradient[run].contiguous() for gradient in gradients],
                means,
                squares,
                [],
                self.steps,
                lr=rate * share,
                beta1=BETA1,
                beta2=BETA2,
                weight_decay=decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )


def _runs(rates: Sequence[tuple[float, float]]) -> list[slice]:
    """Return the stretches of neighbours that are equal."""
    starts = [place for place in range(len(rates)) if place == 0 or rates[place] != rates[place - 1]]
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(rates)], strict=True)]


def _cosine(steps: int, total_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * steps / total_steps))
