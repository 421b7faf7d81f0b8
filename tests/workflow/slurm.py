"""A real SLURM on this machine: a controller and two nodes, with a folder, ports and keys of their own."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Daemons lie where not everyone's PATH leads.
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
NODES = ("n1", "n2")
# More than there is: jobs ask for what real ones need, and use little of it.
NODE = "CPUs=2 RealMemory=200000 Gres=gpu:2"

# Its partitions are those of profiles/slurm/partitions.yaml. Nothing holds jobs to memory or processors: that needs
# the machine's control groups.
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=5
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} {node}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} {node}
PartitionName=cpu Nodes=ALL Default=YES MaxTime=1440 State=UP
PartitionName=gpu Nodes=ALL MaxTime=1440 State=UP
"""
# The plugin's job steps forget where a SLURM that is not the machine's own has its configuration.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


@dataclass(frozen=True)
class Job:
    """What `squeue` says of one job, running or ended."""

    number: str
    comment: str
    state: str
    nodes: str
    minutes: int
    partition: str
    memory: str


@dataclass(frozen=True)
class Slurm:
    """A running SLURM; commands that have its `environment` speak to it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "bin"), SEARCHED])
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def jobs(self, comment: str = "") -> list[Job]:
        """Return all jobs whose comment, the rule and its wildcards, begins so; in the order of their submission."""
        lines = self.run("squeue", "--states=all", "--noheader", "--format=%i|%k|%T|%N|%l|%P|%m").splitlines()
        jobs = [_job(*line.split("|")) for line in lines]
        return sorted((job for job in jobs if job.comment.startswith(comment)), key=lambda job: int(job.number))

    def running(self, comment: str) -> Job:
        """Wait for a job to run, and return it."""
        wait_until(lambda: any(job.state == "RUNNING" for job in self.jobs(comment)), f"{comment} runs")
        return next(job for job in self.jobs(comment) if job.state == "RUNNING")


def _job(number: str, comment: str, state: str, nodes: str, limit: str, partition: str, memory: str) -> Job:
    *days, clock = limit.split("-")
    hours, minutes, _ = [0, 0, *map(int, clock.split(":"))][-3:]
    return Job(number, comment, state, nodes, int(*days or [0]) * 1440 + hours * 60 + minutes, partition, memory)


def missing_tools() -> list[str]:
    """Return what of SLURM is not installed."""
    return [tool for tool in TOOLS if shutil.which(tool, path=SEARCHED) is None]


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 900) -> None:
    """Wait for something, or fail."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """Start a SLURM in an empty folder, and end it with all of its jobs."""
    slurm = Slurm(folder)
    _write_configuration(folder)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_start(slurm, "munged", "--foreground", "--force", *_munge_files(folder)))
        wait_until((folder / "munge.socket").exists, "munged listens")
        daemons.append(_start(slurm, "slurmctld", "-D"))
        daemons += [_start(slurm, "slurmd", "-D", "-N", node) for node in NODES]
        wait_until(lambda: _idle(slurm) == set(NODES), "both nodes are idle")
        yield slurm
    finally:
        _end(slurm, daemons)


def _write_configuration(folder: Path) -> None:
    for name in ("state", "bin", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    values = {"host": socket.gethostname().split(".")[0], "user": getpass.getuser(), "node": NODE}
    text = CONFIGURATION.format(folder=folder, ports=_free_ports(3), **values)
    (folder / "slurm.conf").write_text(text)
    # SLURM counts a GPU a file, whatever it is.
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
    for number in range(2):
        (folder / f"gpu{number}").touch()
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o400)
    (folder / "bin/srun").write_text(SRUN.format(folder=folder, srun=shutil.which("srun", path=SEARCHED)))
    (folder / "bin/srun").chmod(0o755)


def _munge_files(folder: Path) -> list[str]:
    ends = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return [f"--{option}={folder}/munge.{end}" for option, end in ends.items()]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _start(slurm: Slurm, daemon: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (slurm.folder / f"{daemon}.out").open("ab") as output:
        return subprocess.Popen(
            [shutil.which(daemon, path=SEARCHED) or daemon, *arguments],
            env=os.environ | slurm.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _idle(slurm: Slurm) -> set[str]:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"],
        env=os.environ | slurm.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return set(done.stdout.split())


def _end(slurm: Slurm, daemons: list[subprocess.Popen[bytes]]) -> None:
    try:
        if len(daemons) > 2:
            slurm.run("scancel", f"--user={getpass.getuser()}")
            wait_until(lambda: not slurm.run("squeue", "--noheader"), "no job runs", seconds=30)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
