"""`torchrun`, which asks its processes to stop when the job that started it is gone, rather than live on alone."""

import os

from nml.preemption import ask_when_parent_ends

_STARTER = "NML_TORCHRUN_PID"


def ask_when_torchrun_ends() -> None:
    """Let this process be asked to stop when the `torchrun` that started it is gone; without one, nothing happens."""
    if _STARTER in os.environ:
        ask_when_parent_ends(int(os.environ[_STARTER]))


def main() -> None:
    """Run `torchrun` with the arguments of this process; the processes that it starts can tell which one it was."""
    from torch.distributed import run

    ask_when_parent_ends(os.getppid())
    os.environ[_STARTER] = str(os.getpid())
    run.main()


if __name__ == "__main__":
    main()
