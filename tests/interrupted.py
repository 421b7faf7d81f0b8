"""Real processes that are asked to stop, as a scheduler asks them: with a signal to all processes of a job."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Any

from nml.preemption import asked, stoppable


class Moment:
    """Passed to the work, which says that it is time for the signal, and waits for it; on later calls, nothing."""

    def __init__(self, reached: Event) -> None:
        self.reached = reached

    def __call__(self) -> None:
        self.reached.set()
        while not asked():
            time.sleep(0.01)


def _work(work: Callable[..., None], moment: Moment, arguments: tuple[Any, ...]) -> None:
    # A group of its own, as the jobs of a scheduler have.
    os.setsid()
    with stoppable():
        work(moment, *arguments)


def exit_code_of(
    work: Callable[..., None], *arguments: Any, number: int = signal.SIGTERM, group: bool = True
) -> int | None:
    """Return how `work(moment, *arguments)` ends in a process that gets a signal, as does all that it started.

    Without `group`, it alone gets it.
    """
    context = get_context("spawn")
    reached = context.Event()
    process = context.Process(target=_work, args=(work, Moment(reached), arguments))
    process.start()
    try:
        while not reached.wait(0.05):
            assert process.is_alive(), "it ended before the moment"
        (os.killpg if group else os.kill)(process.pid, number)
        process.join(60)
        return process.exitcode
    finally:
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
