"""Snakemake in copies of a process that has imported it: importing takes longer than most of what tests ask it for.

Each run has its own process, folder, environment and arguments, and calls what the command `snakemake` calls. Where a
test kills Snakemake, or gives it to a scheduler, it starts the command itself.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command, whose first word is Snakemake, and return its exit code and all that it printed."""
    server = _server()
    with tempfile.NamedTemporaryFile(mode="r", errors="replace") as output:
        job = {"command": command, "folder": str(folder), "environment": environment, "output": output.name}
        print(json.dumps(job), file=server.stdin, flush=True)
        return json.loads(server.stdout.readline()), output.read()


@cache
def _server() -> subprocess.Popen[str]:
    # Without the folder of this file on its path, where a module is named as a package is that Snakemake imports.
    command = [sys.executable, "-P", __file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve(jobs: IO[str]) -> None:
    """Run jobs, one a line, in forks of this process, until the process that asks for them ends."""
    from snakemake.cli import main

    for line in jobs:
        pid = os.fork()
        if pid == 0:
            _become(main, **json.loads(line))
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), flush=True)


def _become(
    snakemake: Callable[[], int], command: list[str], folder: str, environment: dict[str, str], output: str
) -> None:
    """Be Snakemake in this process, and end it."""
    with open(os.devnull) as nothing, open(output, "w") as file:
        for stream, number in ((nothing, 0), (file, 1), (file, 2)):
            os.dup2(stream.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # What Python reads of it at its start.
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.argv = command
    sys.exit(snakemake())


if __name__ == "__main__":
    serve(sys.stdin)
