"""The processes that train one encoder together, as `torchrun` starts them; without it, one alone."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.nn.functional import all_gather

from nml.devices import choose_device
from nml.preemption import asked


@dataclass(frozen=True)
class World:
    """This process among all: its `rank` in `size`, and its number on this machine, which is that of its GPU."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        device = choose_device()
        return torch.device("cuda", self.local_rank) if device.type == "cuda" else device

    def send(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor on this process' device; out of pinned memory it is copied while other work goes on."""
        return tensor.to(self.device, non_blocking=True)

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def share_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give all processes the first one's tensors, in place."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensors of all processes, stacked by rank: [size, ...]."""
        if self.size == 1:
            return tensor[None]
        # NCCL moves only what lies on the GPU.
        own = tensor.to(self.device)
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own)
        return torch.stack(parts).to(tensor.device)

    def gather_rows(self, rows: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Return the rows [n, D] of all processes by rank, and the place of the own ones; gradients flow to all."""
        counts = self.gather(torch.tensor(len(rows))).tolist()
        padded = nn.functional.pad(rows, (0, 0, 0, max(counts) - len(rows)))
        parts = all_gather(padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]), sum(counts[: self.rank])


ALONE = World()


class Consent:
    """Tells all processes at the same step that one of them was asked to stop; alone, at the step where it was.

    What all say at one step is looked at in the next: the answer is there by then, and no GPU stands still for it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._said: tuple[torch.Tensor, torch.cuda.Event | None] | None = None

    def given(self) -> bool:
        """Return whether to stop now; every process must call it once a step."""
        if self._world.size == 1:
            return asked()
        said, self._said = self._said, self._say()
        if said is None:
            return False
        answer, ready = said
        if ready:
            ready.synchronize()
        return bool(answer)

    def _say(self) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        total = self._world.add(torch.tensor(int(asked()), device=self._world.device))
        if total.device.type != "cuda":
            return total, None
        answer, ready = total.to("cpu", non_blocking=True), torch.cuda.Event()
        ready.record()
        return answer, ready


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that `torchrun` started, and leave them at the end."""
    if "WORLD_SIZE" not in os.environ:
        yield ALONE
        return
    world = World(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    dist.init_process_group("nccl" if world.device.type == "cuda" else "gloo")
    try:
        yield world
    finally:
        dist.destroy_process_group()
