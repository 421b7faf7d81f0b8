"""What each job costs: time, memory, GPU and energy, an entry for each of its tries, in a file beside its log.

Snakemake's own benchmark records have one entry a job, of its last try, and nothing of GPUs. A file
`results/logs/<rule>/<job>.cost.jsonl` has all tries that led to the job's present outputs, those included that failed
or were asked to stop; of a try that was killed nothing is known.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Thread

from nml.artifacts import write_text
from nml.leases import Device
from nml.preemption import Preempted, undisturbed

SUFFIX = ".cost.jsonl"
_MIB = 2**20
_IMPORTED = time.monotonic()
_LAST_WORDS_SECONDS = 5


@dataclass
class Try:
    """What one try of a job took.

    Attributes
    ----------
    outcome : str
        `done`, `partly` (done, and some outputs were put back from before), `failed` or `preempted`.
    seconds, cpu_seconds : float
        Of wall time since the process started, without waiting, and of all its threads and children that have ended.
    waited_seconds : float
        For an earlier run of the same job, and for devices that other jobs had.
    peak_memory_bytes : int or None
        The most that one process held.
    gpu : str
        Name of the devices; empty without.
    gpus : float
        How many, counting shares as such.
    gpu_seconds : float
        Their number times the time that the job held them.
    peak_gpu_memory_bytes : int or None
        The most on one device: that PyTorch reserved in this process, else what the driver shows, of all its users.
    energy_joules : float or None
        Of the devices while the job held them, by its share, from the power that the driver tells every second.
    put_back : int
        How many outputs were put back as an earlier job had made them, instead of made.
    """

    outcome: str = "failed"
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    gpu: str = ""
    gpus: float = 0.0
    gpu_seconds: float = 0.0
    peak_gpu_memory_bytes: int | None = None
    energy_joules: float | None = None
    waited_seconds: float = 0.0
    put_back: int = 0


@dataclass(frozen=True)
class JobCost:
    """What a job's present outputs cost: sums over its tries, and the peaks; None where nothing is known.

    `outcome` is that of its last try; unless it is `done`, the tries have led to no outputs yet.
    """

    rule: str
    name: str
    outcome: str
    tries: int
    seconds: float
    cpu_seconds: float
    gpu_seconds: float
    gpus: float
    gpu: str
    peak_memory_bytes: float | None
    peak_gpu_memory_bytes: float | None
    energy_joules: float | None


@contextmanager
def waiting(cost: Try) -> Iterator[None]:
    """Note the time of the block as waited."""
    started = time.monotonic()
    try:
        yield
    finally:
        cost.waited_seconds += time.monotonic() - started


@contextmanager
def recorded(log: Path, cost: Try) -> Iterator[None]:
    """Add an entry about the block to the file beside a log; the first try after a success begins the file anew.

    A try that put outputs back does not: what is in the file made these.
    """
    try:
        yield
        cost.outcome = "partly" if cost.put_back else "done"
    except Preempted:
        cost.outcome = "preempted"
        raise
    finally:
        _measure_process(cost)
        # A full disk is no reason to lose a job that is done, or to hide why one failed.
        with suppress(OSError), undisturbed():
            _add(cost, log.with_suffix(SUFFIX))


@contextmanager
def metered(cost: Try, devices: Sequence[Device], share: float) -> Iterator[None]:
    """Note what is used of leased devices during the block; `share` is the part of each that is the job's."""
    if not devices:
        yield
        return
    meter = _start_meter(devices)
    samples: list[tuple[float, ...]] = []
    reader = Thread(target=_read_meter, args=(meter, samples), daemon=True)
    reader.start()
    try:
        with counted(cost, devices[0].name, len(devices) * share):
            yield
    finally:
        with undisturbed():
            meter.terminate()
            meter.wait()
            reader.join()
            _sum_up(cost, samples)


@contextmanager
def counted(cost: Try, gpu: str, gpus: float) -> Iterator[None]:
    """Note how many GPUs of a name are held during the block, and how long."""
    started = time.monotonic()
    cost.gpu, cost.gpus = gpu, gpus
    try:
        yield
    finally:
        cost.gpu_seconds = (time.monotonic() - started) * gpus


def _start_meter(devices: Sequence[Device]) -> subprocess.Popen[str]:
    """Start the driver's tool, which prints a line a device and second until it is ended, or nobody reads on."""
    uuids = ",".join(device.uuid for device in devices)
    command = [shutil.which("nvidia-smi") or "nvidia-smi", f"--id={uuids}", "--query-gpu=power.draw,memory.used"]
    command += ["--format=csv,noheader,nounits", "--loop=1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _read_meter(meter: subprocess.Popen[str], samples: list[tuple[float, ...]]) -> None:
    for line in meter.stdout or ():
        samples.append(tuple(_number(word) for word in line.split(",")))


def _number(word: str) -> float:
    """Return a number, or NaN where the driver says that it does not know: `[N/A]`, `[Not Supported]`."""
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _sum_up(cost: Try, samples: list[tuple[float, ...]]) -> None:
    powers = [values[0] for values in samples if len(values) == 2 and values[0] == values[0]]
    if powers:
        cost.energy_joules = sum(powers) / len(powers) * cost.gpu_seconds
    memory = [values[1] for values in samples if len(values) == 2 and values[1] == values[1]]
    own = _reserved_by_pytorch()
    if own or memory:
        cost.peak_gpu_memory_bytes = own or int(max(memory) * _MIB)


def _reserved_by_pytorch() -> int:
    """Return the most GPU memory that PyTorch reserved in this process; 0 where it used none."""
    torch = sys.modules.get("torch")
    return torch.cuda.max_memory_reserved() if torch is not None and torch.cuda.is_initialized() else 0


def _measure_process(cost: Try) -> None:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cost.seconds = _since_start() - cost.waited_seconds
    cost.cpu_seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    # Linux counts it in KiB, macOS in bytes.
    cost.peak_memory_bytes = max(own.ru_maxrss, children.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def _since_start() -> float:
    """Return the seconds since this process started, where Linux tells, else since it imported this module."""
    try:
        started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        return float(Path("/proc/uptime").read_text().split()[0]) - int(started) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.monotonic() - _IMPORTED


def _add(cost: Try, file: Path) -> None:
    before = _tries(file)
    if before and before[-1].outcome in ("done", "partly") and not cost.put_back:
        before = []
    write_text(file, "".join(json.dumps(asdict(entry)) + "\n" for entry in (*before, cost)))


def _tries(file: Path) -> list[Try]:
    """Return the entries of a file; none where there is no file, or one of another kind."""
    known = {field.name for field in fields(Try)}
    try:
        entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [Try(**{name: value for name, value in entry.items() if name in known}) for entry in entries]
    except (FileNotFoundError, ValueError, AttributeError):
        return []


def last_outcome(log: Path) -> str:
    """Return how the try of a job ended that wrote a log: the `outcome` of its entry, or an empty text if it has none.

    A try that was killed has none; its log is newer than the entries of earlier ones.
    """
    file = log.with_suffix(SUFFIX)
    tries = _tries(file)
    # The last words of a job that is asked to stop come after its entry.
    written_later = bool(tries) and os.stat(log).st_mtime > os.stat(file).st_mtime + _LAST_WORDS_SECONDS
    return tries[-1].outcome if tries and not written_later else ""


def job_costs(results: Path = Path("results"), whole: bool = False) -> Iterator[JobCost]:
    """Yield what is known of each job of a results folder: its own record, else Snakemake's, of its last try.

    For means of `whole` jobs, tries that put outputs back are left out.
    """
    logs, benchmarks = results / "logs", results / "benchmarks"
    names = {str(file.relative_to(logs)).removesuffix(SUFFIX) for file in logs.rglob(f"*{SUFFIX}")}
    names |= {str(file.relative_to(benchmarks)).removesuffix(".jsonl") for file in benchmarks.rglob("*.jsonl")}
    for name in sorted(names):
        rule, _, job = name.partition("/")
        tries = [entry for entry in _tries_of(name, results) if not (whole and entry.put_back)]
        if tries:
            yield _summed(rule, job, tries)


def cost_of(rule: str, job: str, results: Path = Path("results")) -> JobCost | None:
    """Return what is known of one job; `job` is what its log and its benchmark record are called below the rule's."""
    name = f"{rule}/{job}" if job else rule
    tries = _tries_of(name, results)
    return _summed(rule, job, tries) if tries else None


def _tries_of(name: str, results: Path) -> list[Try]:
    return _tries(results / "logs" / f"{name}{SUFFIX}") or _benchmarked(results / "benchmarks" / f"{name}.jsonl")


def _summed(rule: str, job: str, tries: Sequence[Try]) -> JobCost:
    last = next((entry for entry in reversed(tries) if entry.gpu), tries[-1])
    sums = (sum(getattr(entry, field) for entry in tries) for field in ("seconds", "cpu_seconds", "gpu_seconds"))
    peaks = [_known(max, [getattr(e, f) for e in tries]) for f in ("peak_memory_bytes", "peak_gpu_memory_bytes")]
    energy = _known(sum, [entry.energy_joules for entry in tries])
    return JobCost(rule, job, tries[-1].outcome, len(tries), *sums, last.gpus, last.gpu, *peaks, energy)


def _known(total: Callable[[list[float]], float], values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return total(known) if known else None


def _benchmarked(file: Path) -> list[Try]:
    """Return what Snakemake measured of a job's last try."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
        memory = int(float(entry["max_rss"]) * _MIB) if entry.get("max_rss") not in (None, "NA") else None
        return [Try("done", float(entry["s"]), float(entry.get("cpu_time", 0)), memory)]
    except (FileNotFoundError, IndexError, KeyError, ValueError, TypeError):
        return []
