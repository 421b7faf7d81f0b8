"""Work that is spread over processes."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

from nml.preemption import Preempted, answer_signals, asked


def in_processes(function: Callable[..., Any], jobs: list[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """Yield `function(*job)` for each job, in their order, from at most `workers` processes; one is this process.

    An error of a job is raised as it is, and jobs that have not started by then never do. When this process is asked to
    stop, so are the others, in the middle of their jobs; however it ends, they end with it. Who does more than list
    what is yielded holds the generator with `contextlib.closing`: else they end only when it is forgotten.
    """
    if workers == 1:
        yield from (function(*job) for job in jobs)
        return
    # Spawned, not forked: a fork copies the locks of threads, and Arrow has threads.
    before = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin)
    try:
        for future in [pool.submit(_unless_asked, function, *job) for job in jobs]:
            yield future.result()
    except BaseException:
        # The signal may have come in the block that uses what is yielded, which then closes this generator.
        if asked():
            for process in set(active_children()) - before:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    answer_signals()
    end_with_parent()


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: a pool's worker would wait for work for ever."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _unless_asked(function: Callable[..., Any], *job: Any) -> Any:
    """Do a job, unless this process was asked to stop during an earlier one."""
    if asked():
        raise Preempted
    return function(*job)
