"""Runs the smoke preset while its processes are killed and its disk is full, and compares with a calm run.

    python -m tests.workflow.chaos --seed 7 --strikes 60

The project lies on a small disk of its own (a tmpfs in a mount namespace, so that it goes with this process, however
that ends). At random moments one strike falls on the run: a kill of one of its processes, of Snakemake alone, of all of
them, or a full disk. A run that ended is started again, until there were so many strikes or all is made. Then it may
finish in calm, and what it made must be what a calm run makes. Where that came before the last strike, all is deleted
and the next round begins. The seed decides which strikes fall and how far apart; the machine decides what they meet.
"""

import argparse
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.workflow.conftest import Project, copy_sources

DISK_MIB = 384
"""Room for the sources and the results of the smoke preset, and little more."""
LONGEST_PAUSE = 4.0
"""Time between strikes, at most, in starts of Snakemake, which tell how fast the machine is."""
MARK = "NML_CHAOS_RUN"
"""In the environment of every process that one of these runs started, by which no other is ever met."""
INSIDE = "NML_CHAOS_INSIDE"
"""Set, to whether it may mount, in the process that runs in a mount namespace of its own."""
NO_DISK = """\
!!! NO SMALL DISK: nothing may be mounted here (it takes root, or user namespaces). Instead of being met by a full
!!! disk, files may not grow at moments (RLIMIT_FSIZE), which programs see as EFBIG and not as ENOSPC."""
TIMED = re.compile(
    r"(benchmarks|logs|report)/.*|(cells|encoders|kept)/.*meta\.json|kept/.*\.made-from\.json|encoders/.*/log\.csv"
    r"|tables/(cost|learning|pretraining|run_times)\..*|figures/(cost|run_time)\..*"
)
"""What says how long something took: these files must be there, with whatever they say."""


@dataclass
class Chaos:
    """A run under strikes.

    Attributes
    ----------
    project : the folder with the sources and results
    random : decides about the strikes
    ballast : the file that fills the disk; None where no small disk could be made
    start_seconds : what a start of Snakemake takes on this machine
    targets : what Snakemake is asked for; nothing is everything
    mark : what the processes of its runs have in their environment; numbers of processes and sessions come again
    deck : the kinds of strikes that come before any kind comes again, through all rounds
    run : the Snakemake that was started last
    """

    project: Project
    random: random.Random
    ballast: Path | None
    start_seconds: float
    targets: tuple[str, ...] = ()
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    deck: list[str] = field(default_factory=list)
    run: subprocess.Popen[bytes] | None = None

    def torment(self, strikes: int) -> int:
        """Strike so many times, or until everything is made; return how often."""
        done = 0
        while done < strikes and not self._is_finished():
            if not self._pause(self.random.uniform(0, LONGEST_PAUSE) * self.start_seconds):
                continue
            if not self.deck:
                self.deck += self.random.sample(list(STRIKES), len(STRIKES))
            if met := STRIKES[self.deck[-1]](self):
                done += 1
                say(f"{done:3d}  {self.deck.pop()}: {met}")
        return done

    def _is_finished(self) -> bool:
        """Start a run unless one is going on; tell whether the one before ended with everything made."""
        if self.run is None or self.run.poll() is not None:
            if self.run and self.run.returncode == 0:
                return True
            self.start()
        return False

    def start(self) -> None:
        """Start Snakemake in a session of its own."""
        with open(self.project.path.with_name("chaos.log"), "ab") as log:
            self.run = subprocess.Popen(
                self.project.command(*(["--", *self.targets] if self.targets else [])),
                cwd=self.project.path,
                env=self.project.environment | {MARK: self.mark},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _pause(self, seconds: float) -> bool:
        """Wait; tell whether the run is still going on after that."""
        with suppress(subprocess.TimeoutExpired):
            self.run.wait(seconds)
        return self.run.poll() is None

    def processes(self) -> list[psutil.Process]:
        """Return the processes of all runs, those that outlived their Snakemake included."""
        # Those that ended are not among them: orphans stay zombies where a container's first process ignores them.
        return [process for process in psutil.process_iter() if _mark_of(process) == self.mark]

    def jobs(self) -> list[psutil.Process]:
        """Return the processes of the runs, other than Snakemake itself."""
        return [process for process in self.processes() if process.pid != self.run.pid]

    def left_over(self) -> list[psutil.Process]:
        """Return the processes that are still there some time after the last run ended."""
        return psutil.wait_procs(self.processes(), timeout=60)[1]

    def end(self) -> None:
        """Kill whatever is left of the runs."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.run:
            self.run.wait()


def _mark_of(process: psutil.Process) -> str | None:
    """Return the mark in a process' environment; None where it has none, has ended, or is somebody else's."""
    with suppress(psutil.Error, OSError):
        # Its number may have gone to another process since it was listed.
        return process.environ().get(MARK) if process.is_running() else None
    return None


def _signal_job(number: signal.Signals) -> Callable[[Chaos], str]:
    def strike(chaos: Chaos) -> str:
        jobs = chaos.jobs()
        if not jobs:
            return ""
        victim = chaos.random.choice(sorted(jobs, key=lambda process: process.pid))
        with suppress(psutil.NoSuchProcess):
            about = _about(victim)
            victim.send_signal(number)
            return about
        return ""

    return strike


def _about(process: psutil.Process) -> str:
    """Return what a process is, in a word or two."""
    words: list[str] = []
    with suppress(psutil.Error):
        words = process.cmdline()
    return f"{process.pid} {Path(words[0]).name} {Path(words[-1]).name[:60]}" if words else f"{process.pid}"


def _signal_snakemake(number: signal.Signals) -> Callable[[Chaos], str]:
    def strike(chaos: Chaos) -> str:
        chaos.run.send_signal(number)
        return f"{chaos.run.pid}, with {len(chaos.jobs())} processes of jobs"

    return strike


def _kill_everything(chaos: Chaos) -> str:
    processes = chaos.processes()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return f"{len(processes)} processes"


def _fill_disk(chaos: Chaos) -> str:
    """Leave a random rest of the disk free for some seconds; without a small disk, forbid files to grow."""
    seconds = chaos.random.uniform(0.2, 2) * chaos.start_seconds
    rest = chaos.random.choice([0, 0, 4096, 1 << 16, 1 << 20])
    with _no_files_beyond(rest, chaos) if chaos.ballast is None else _full(chaos.ballast, rest):
        chaos._pause(seconds)
    return f"{rest:,} bytes left for {seconds:.1f} s"


@contextmanager
def _full(ballast: Path, rest: int) -> Iterator[None]:
    """Fill a disk but for so many bytes, and what is freed meanwhile too."""
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        if rest:
            os.truncate(ballast, max(0, ballast.stat().st_size - rest))
        yield
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def _no_files_beyond(size: int, chaos: Chaos) -> Iterator[None]:
    try:
        for process in chaos.processes():
            _limit_files(process.pid, size)
        yield
    finally:
        # Asked anew: those that were started meanwhile have the limit from their parents.
        for process in chaos.processes():
            _limit_files(process.pid, resource.RLIM_INFINITY)


def _limit_files(pid: int, size: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else hard, hard))


STRIKES: dict[str, Callable[[Chaos], str]] = {
    "SIGKILL to a job": _signal_job(signal.SIGKILL),
    "SIGTERM to a job": _signal_job(signal.SIGTERM),
    "SIGKILL to Snakemake alone": _signal_snakemake(signal.SIGKILL),
    "SIGTERM to Snakemake": _signal_snakemake(signal.SIGTERM),
    "SIGKILL to everything": _kill_everything,
    "full disk": _fill_disk,
}


def differences(project: Project, calm: Project, partly: bool = False) -> list[str]:
    """Return in what the results of a project are not those of a calm run, of which it may have made a part only."""
    ours, theirs = _files(project), _files(calm)
    stray = [f"stray: {name}" for name in sorted(ours.keys() - theirs.keys())]
    missing = [] if partly else [f"missing: {name}" for name in sorted(theirs.keys() - ours.keys())]
    other = [
        f"differs: {name}"
        for name in sorted(ours.keys() & theirs.keys())
        if not TIMED.fullmatch(name) and ours[name].is_file() and ours[name].read_bytes() != theirs[name].read_bytes()
    ]
    return stray + missing + other


def _files(project: Project) -> dict[str, Path]:
    results = project.path / "results"
    return {str(path.relative_to(results)): path for path in results.rglob("*")}


def say(text: str) -> None:
    """Print at once, for those who watch."""
    print(text, flush=True)


def attack(chaos: Chaos, calm: Project, strikes: int) -> int:
    """Run a project under at most so many strikes, then in calm; return how many fell.

    Raises
    ------
    SystemExit
        If the run in calm fails, a process outlives it, or it made something else than a calm run.
    """
    try:
        struck = chaos.torment(strikes)
        chaos.run.wait()
        say("     in calm ...")
        chaos.start()
        problems = [] if chaos.run.wait() == 0 else ["a run in calm failed"]
        problems += [f"still there: {_about(process)}" for process in chaos.left_over()]
    finally:
        chaos.end()
    problems += differences(chaos.project, calm, partly=bool(chaos.targets))
    if problems:
        say(chaos.project.path.with_name("chaos.log").read_text(errors="replace")[-8000:])
        sys.exit("\n".join(["Not as in calm:", *problems]))
    return struck


def _seconds_of_a_start(calm: Project) -> float:
    started = time.perf_counter()
    command = calm.command("--dry-run", "--quiet")
    subprocess.run(command, cwd=calm.path, env=calm.environment, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Attack the smoke preset, round after round, until all strikes fell."""
    options = _options()
    if INSIDE not in os.environ:
        _go_inside()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    say(f"chaos with --seed {seed} --strikes {options.strikes}")
    if os.environ[INSIDE] != "disk":
        say(NO_DISK)
    draw, deck, left, number = random.Random(seed), list[str](), options.strikes, 0
    with tempfile.TemporaryDirectory(prefix="nml-chaos-") as folder:
        calm = Project(options.calm) if options.calm else _run_calmly(Path(folder, "calm"), options.targets)
        while left:
            number += 1
            say(f"round {number}, at most {left} strikes")
            with _disk(Path(folder, f"disk-{number}")) as disk:
                project, seconds = _copy(calm, disk / "project"), _seconds_of_a_start(calm)
                ballast = disk / "ballast" if os.environ[INSIDE] == "disk" else None
                chaos = Chaos(project, draw, ballast, seconds, tuple(options.targets), deck=deck)
                left -= attack(chaos, calm, left)
    say(f"After {options.strikes} strikes in {number} rounds, all is as in calm, and nothing is left over.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, help="of the strikes; printed, drawn if not given")
    parser.add_argument("--strikes", type=int, default=40)
    parser.add_argument("--calm", type=Path, help="a project whose smoke run is done; else one is made")
    parser.add_argument("targets", nargs="*", help="what to make; everything if not given")
    return parser.parse_args()


def _go_inside() -> None:
    """Start this program again in a mount namespace, where it may mount a small disk, if it is permitted one."""
    for namespace in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        with tempfile.TemporaryDirectory() as folder:
            mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
            with suppress(FileNotFoundError):
                if subprocess.run([*namespace, *mount], capture_output=True, check=False).returncode == 0:
                    os.environ[INSIDE] = "disk"
                    os.execvp(namespace[0], [*namespace, sys.executable, "-m", "tests.workflow.chaos", *sys.argv[1:]])
    os.environ[INSIDE] = "no disk"


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """Make a small disk where that is permitted, else a folder."""
    folder.mkdir()
    if os.environ[INSIDE] != "disk":
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _copy(calm: Project, folder: Path) -> Project:
    """Copy the sources; the data gets the times of that of the calm run, because manifests name them."""
    folder.mkdir()
    project = copy_sources(folder)
    for path in (calm.path / "data").rglob("*"):
        modified = path.stat().st_mtime_ns
        os.utime(folder / path.relative_to(calm.path), ns=(modified, modified))
    return project


def _run_calmly(folder: Path, targets: list[str]) -> Project:
    say("a calm run first ...")
    folder.mkdir()
    calm = copy_sources(folder)
    calm.snakemake(*(["--", *targets] if targets else []))
    return calm


if __name__ == "__main__":
    main()
