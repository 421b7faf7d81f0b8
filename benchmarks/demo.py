"""Time what a new user does, in a fresh clone: `python benchmarks/demo.py`.

Prints the wall time of the installation, of `make demo` (with the peak memory of all its processes together), of a
second `make demo`, and of a dry run for one missing cell.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

CELL = "results/cells/emoji/resnet-mini/symmetric-20/s0/fashion/lp.parquet"


def timed(name: str, command: list[str], folder: Path) -> None:
    """Run a command, and print its seconds and the peak of the memory that it and its children hold."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak))
    watcher.start()
    if process.wait() != 0:
        sys.exit(f"{name} failed: {' '.join(command)} in {folder}")
    seconds = time.perf_counter() - started
    watcher.join()
    print(f"{name:24} {seconds:8.1f} s {peak[0] / 2**30:6.2f} GiB", flush=True)


def watch(pid: int, peak: list[int]) -> None:
    """Keep the largest sum of the proportional set sizes of a process and its descendants, until it ends.

    Proportional, so that memory that processes share, such as the pages of a library, counts once.
    """
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(map(_held, [root, *root.children(recursive=True)])))
            time.sleep(1)
    except psutil.NoSuchProcess:
        return


def _held(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def main() -> None:
    """Clone the project as it is committed, and time it."""
    project = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "nml")
        subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
        timed("make setup", ["make", "setup"], clone)
        timed("make demo", ["make", "demo"], clone)
        timed("make demo, again", ["make", "demo"], clone)
        (clone / CELL).unlink()
        timed("dry run of one cell", [".venv/bin/snakemake", "-n", CELL], clone)


if __name__ == "__main__":
    main()
