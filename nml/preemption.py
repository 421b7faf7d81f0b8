"""Being asked to stop: a job keeps what it has done, and ends with an exit code that says so.

Schedulers send SIGTERM some time before SIGKILL, and SIGUSR1 where they are told to warn earlier. A job that has called
`stoppable` answers both by raising `Preempted` wherever its main thread is: files are whole or absent however a job
ends, so this is safe. Work that must first save its state, such as a training, is done in `deferred`, and asks
`asked` at its own safe points.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

EXIT_CODE = 75
"""`EX_TEMPFAIL` of sysexits.h: nothing is wrong, try again later."""
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

_PR_SET_PDEATHSIG = 1
"""Of `linux/prctl.h`."""


class Preempted(SystemExit):
    """The job was asked to stop, and has kept what it did. It ends the process with `EXIT_CODE`, without a traceback.

    Not an `Exception`, so that nothing that mends errors takes it for one.
    """

    def __init__(self, code: int = EXIT_CODE) -> None:
        super().__init__(code)


_asked = False
_deferring = 0
_answered = 0.0
_TIDYING_SECONDS = 10.0


def _answer(number: int, frame: FrameType | None) -> None:
    global _asked, _answered
    # The second of two signals would interrupt the tidying up after the first. But one that comes later is answered,
    # since what is raised in a destructor, or in a library that catches all, is lost.
    if _asked and time.monotonic() - _answered < _TIDYING_SECONDS:
        return
    _asked, _answered = True, time.monotonic()
    if not _deferring:
        raise Preempted


def answer_signals() -> None:
    """From now on, raise `Preempted` in the main thread when one of `SIGNALS` comes, or after `deferred` work."""
    global _asked
    _asked = False
    for number in SIGNALS:
        signal.signal(number, _answer)


def ask_when_parent_ends(parent: int) -> None:
    """Let this process get SIGTERM when the one that started it is gone, however that ended, or is gone already.

    The kernel sees to it; only Linux does.
    """
    _get_when_parent_ends(signal.SIGTERM, parent)


def die_with_parent(parent: int) -> None:
    """Let this process be killed, in the same way, when the one that started it is gone, or is gone already.

    For processes whose parent holds the lock that keeps others from their files: without it they must not write.
    """
    _get_when_parent_ends(signal.SIGKILL, parent)


def _get_when_parent_ends(number: signal.Signals, parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            signal.raise_signal(number)


def ignore_signals() -> None:
    """From now on, and after `stoppable` too, do as if no signal came: the work is done, and its outputs would go."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stoppable() -> Iterator[None]:
    """Answer the signals until the end of the block, or until `ignore_signals`."""
    global _asked
    before = {number: signal.getsignal(number) for number in SIGNALS}
    answer_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _answer:
                signal.signal(number, handler)
        _asked = False


def asked() -> bool:
    """Tell whether the job was asked to stop."""
    return _asked


@contextmanager
def undisturbed() -> Iterator[None]:
    """Go on to the end of the block, whatever signal comes: for what is done sooner than done again."""
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1


@contextmanager
def deferred() -> Iterator[None]:
    """Leave it to the block to stop at a point of its own; raise `Preempted` at its end if it was asked and did not."""
    global _answered
    with undisturbed():
        yield
    if _asked:
        _answered = time.monotonic()
        raise Preempted


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Let the processes that are started in the block not hear the signals; schedulers send them to all of a job.

    For helpers such as those that load data: they end with their parent, which needs them until its state is saved.
    """
    # It is started with the first child, and lets SIGTERM through when it has started.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
