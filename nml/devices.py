"""Where tensors live and how many threads a job may use."""

from __future__ import annotations

import platform
import re
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def choose_device() -> torch.device:
    """Return the first GPU that this process may see, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(processes: int = 1) -> dict[str, str | int]:
    """Return the `device` by name, its `kind`, `gpu` or `cpu`, and the `count` of GPUs or threads of all processes."""
    import torch

    if choose_device().type == "cuda":
        return {"device": torch.cuda.get_device_name(), "kind": "gpu", "count": processes}
    return {"device": _processor(), "kind": "cpu", "count": processes * torch.get_num_threads()}


def _processor() -> str:
    """Return the model of this machine's processor where Linux names it, else its kind."""
    about = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", about.read_text(), re.MULTILINE) if about.is_file() else None
    return named[1].strip() if named else platform.machine()


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
