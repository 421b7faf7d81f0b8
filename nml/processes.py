"""Work that is spread over processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def in_processes(function: Callable[..., Any], jobs: list[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """Yield `function(*job)` for each job, in their order, from at most `workers` processes; one is this process.

    An error of a job is raised as it is, and jobs that have not started by then never do.
    """
    if workers == 1:
        yield from (function(*job) for job in jobs)
        return
    # Spawned, not forked: a fork copies the locks of threads, and Arrow has threads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        for future in [pool.submit(function, *job) for job in jobs]:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
