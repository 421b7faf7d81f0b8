"""`torchrun`, which asks its processes to stop when the job that started it is gone, and takes them with it."""

import os

from nml.preemption import ask_when_parent_ends, die_with_parent

_STARTER = "NML_TORCHRUN_PID"


def die_with_torchrun() -> None:
    """Let this process be killed when the `torchrun` that started it is gone; without one, nothing happens.

    The lock of the job is gone then too, and the next try may be at work: nothing may be saved any more.
    """
    if _STARTER in os.environ:
        die_with_parent(int(os.environ[_STARTER]))


def main() -> None:
    """Run `torchrun` with the arguments of this process; the processes that it starts can tell which one it was."""
    # Before anything that takes time: a job that is gone by now is not the parent any more, and is not missed.
    ask_when_parent_ends(os.getppid())
    from torch.distributed import run

    os.environ[_STARTER] = str(os.getpid())
    run.main()


if __name__ == "__main__":
    main()
