"""Where tensors live and how many threads a job may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def choose_device() -> torch.device:
    """Return the first GPU that this process may see, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def limit_threads(threads: int) -> None:
    """Keep PyTorch to the threads that the workflow gave this job.

    Their number changes the order of floating-point sums, and with it the last bits of every result.
    """
    import torch

    torch.set_num_threads(threads)
