"""The stacked AdamW against `torch.optim.AdamW` with a cosine schedule, head by head."""

import pytest
import torch

from nml.tuning.optimiser import AdamW, FusedAdamW

RATES, DECAYS, STEPS = [0.1, 0.003, 0.003], [0.0, 0.1, 0.1], 20
BOTH = pytest.mark.parametrize("kind", [AdamW, FusedAdamW])


def gradient_of(parameter: torch.Tensor) -> torch.Tensor:
    return torch.cos(3 * parameter) + parameter


def reference(start: torch.Tensor, rate: float, decay: float) -> torch.Tensor:
    parameter = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([parameter], lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=STEPS)
    for _ in range(STEPS):
        parameter.grad = gradient_of(parameter.detach())
        optimiser.step()
        schedule.step()
    return parameter.detach()


@BOTH
def test_every_head_moves_as_under_torch_adamw_with_cosine_schedule(kind):
    start = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stacked = start.clone()
    optimiser = kind([stacked], torch.tensor(RATES).double(), torch.tensor(DECAYS).double(), STEPS)
    for _ in range(STEPS):
        optimiser.step([gradient_of(stacked)])
    for head in range(3):
        expected = reference(start[head], RATES[head], DECAYS[head])
        torch.testing.assert_close(stacked[head], expected, rtol=1e-6, atol=1e-8)


@BOTH
def test_a_head_without_decay_is_untouched_by_its_neighbours(kind):
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    together, alone = start.clone(), start[:1].clone()
    stacked = kind([together], torch.tensor(RATES), torch.tensor(DECAYS), STEPS)
    single = kind([alone], torch.tensor(RATES[:1]), torch.tensor(DECAYS[:1]), STEPS)
    for _ in range(STEPS):
        stacked.step([gradient_of(together)])
        single.step([gradient_of(alone)])
    assert torch.equal(together[:1], alone)


@BOTH
def test_how_a_gradient_lies_in_memory_does_not_matter(kind):
    """The gradient of a head that multiplies by its transposed weight is a transposed view."""
    start = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    plain, other = start.clone(), start.clone()
    rates = torch.tensor(RATES), torch.tensor(DECAYS)
    stepped, transposed = kind([plain], *rates, STEPS), kind([other], *rates, STEPS)
    for _ in range(STEPS):
        gradient = gradient_of(plain)
        stepped.step([gradient])
        transposed.step([gradient.mT.contiguous().mT])
    torch.testing.assert_close(plain, other)
