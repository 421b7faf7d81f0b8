"""Work that is spread over processes."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any


def in_processes(function: Callable[..., Any], jobs: list[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """Yield `function(*job)` for each job, in their order, from at most `workers` processes; one is this process.

    An error of a job is raised as it is, and jobs that have not started by then never do. However this process ends,
    the others end with it.
    """
    if workers == 1:
        yield from (function(*job) for job in jobs)
        return
    # Spawned, not forked: a fork copies the locks of threads, and Arrow has threads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent)
    try:
        for future in [pool.submit(function, *job) for job in jobs]:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: a pool's worker would wait for work for ever."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
