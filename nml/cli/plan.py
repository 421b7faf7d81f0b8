"""`nml plan`: what a configuration asks for, what of it is done, and how long the rest will take."""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from nml.cli.console import console, table
from nml.cli.jobs import STAGES, Job, jobs_of
from nml.config.grid import encoders_of
from nml.config.load import load_config
from nml.config.schema import Config
from nml.progress import clock


def run(options: argparse.Namespace) -> None:
    """Print the plan of `options.config`."""
    config = load_config(options.config)
    jobs = jobs_of(config)
    seconds = {rule: mean_seconds(rule) for rules in STAGES.values() for rule in rules}
    out = console()
    out.print(_summary(config, options.config))
    out.print(_stages(jobs, seconds))
    out.print(_estimate(jobs, seconds))


def mean_seconds(rule: str) -> float | None:
    """Return the mean run time of a rule's jobs by their benchmark records, or None if none was timed."""
    folder = Path("results/benchmarks")
    records = [*folder.glob(f"{rule}.jsonl"), *folder.glob(f"{rule}/**/*.jsonl")]
    times = [json.loads(line)["s"] for record in records for line in record.read_text().splitlines()]
    return sum(times) / len(times) if times else None


def _summary(config: Config, path: str) -> str:
    encoders = encoders_of(config)
    trained = sum(encoder.is_trained for encoder in encoders)
    lines = [f"{config.name} ({path})", f"  encoders  {trained} trained, {len(encoders) - trained} untrained controls"]
    for family in config.pretraining:
        noise = "; ".join(f"{kind} {', '.join(f'{p:g}' for p in ps)} %" for kind, ps in family.noise.items())
        name = f"{family.corpus}/{family.recipe}"
        lines.append(f"            {name}: {'; '.join(filter(None, ['clean', noise]))}; {_count(family.seeds, 'seed')}")
    sizes = len(encoders), len(config.tasks), len(config.methods)
    return "\n".join(
        [
            *lines,
            f"  tasks     {len(config.tasks)}: {', '.join(config.tasks)}",
            f"  methods   {len(config.methods)}: {', '.join(config.methods)}",
            f"  cells     {math.prod(sizes)} = {' × '.join(map(_count, sizes, ('encoder', 'task', 'method')))}, "
            f"each with {_count(config.seeds, 'seed')}",
            "",
        ]
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _stages(jobs: list[Job], seconds: dict[str, float | None]) -> Table:
    numbers = ("jobs", "done", "missing", "s a job", "time left")
    made = table("stage", "rule", *numbers, numbers=numbers)
    for stage, rules in STAGES.items():
        for rule in rules:
            own = [job for job in jobs if job.rule == rule]
            done, mean = sum(job.is_done() for job in own), seconds[rule]
            missing = len(own) - done
            times = ("?", "?" if missing else "0:00") if mean is None else (f"{mean:.1f}", clock(mean * missing))
            made.add_row(stage, rule, str(len(own)), str(done), str(missing), *times)
    return made


def _estimate(jobs: list[Job], seconds: dict[str, float | None]) -> str:
    missing = [job for job in jobs if not job.is_done()]
    total = f"\n{len(missing)} of {len(jobs)} jobs are missing. "
    if not missing:
        return total + "Whether all is up to date, `snakemake -n` says."
    timed = [seconds[job.rule] or 0.0 for job in missing if seconds[job.rule] is not None]
    if not timed:
        return total + "No such job was timed here yet (results/benchmarks), so there is no estimate."
    untimed = _unique(job.rule for job in missing if seconds[job.rule] is None)
    left_out = f" Left out, because never timed: {', '.join(untimed)}." if untimed else ""
    return f"{total}About {clock(sum(timed))} one after another, by results/benchmarks.{left_out}"


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
