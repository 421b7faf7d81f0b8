"""Where tensors live and how many threads a job may use."""

from __future__ import annotations

import resource
import sys
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


def peak_memory() -> int:
    """Return the most memory that this process held so far, in bytes: of the GPU if it used one."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    # Linux counts it in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
