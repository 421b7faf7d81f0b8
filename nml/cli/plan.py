"""`nml plan`: what a configuration asks for, what of it is done, and what the rest will take and cost."""

import argparse
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

from rich.table import Table

from nml.cli.console import console, table
from nml.cli.costs import MEASURED, UNITS, TrainingCost, costs_of
from nml.cli.jobs import STAGES, Job, jobs_of
from nml.config.grid import encoders_of
from nml.config.load import load_config
from nml.config.schema import Config
from nml.costs import JobCost, job_costs
from nml.errors import UserError
from nml.grid import RELEASED, UNTRAINED
from nml.progress import clock


def run(options: argparse.Namespace) -> None:
    """Print the plan of `options.config`."""
    config = load_config(options.config)
    if options.measure:
        _measure(config, options.config)
    jobs = jobs_of(config)
    known = [cost for cost in job_costs(whole=True) if cost.outcome == "done"]
    seconds = {rule: _mean(known, rule, "seconds") for rules in STAGES.values() for rule in rules}
    out = console()
    out.print(_summary(config, options.config))
    out.print(_stages(jobs, seconds))
    out.print(_estimate(jobs, seconds, known))
    if costs := costs_of(config):
        out.print(_costs(costs))
        out.print(_total(costs))


def _mean(costs: list[JobCost], rule: str, field: str) -> float | None:
    """Return the mean of what a rule's jobs took, with all tries that led to their outputs; None without any job."""
    values = [getattr(cost, field) for cost in costs if cost.rule == rule]
    return sum(values) / len(values) if values else None


def _summary(config: Config, path: str) -> str:
    encoders = encoders_of(config)
    counts = Counter(encoder.noise.kind if not encoder.is_trained else "trained" for encoder in encoders)
    said = f"{counts['trained']} trained, {counts[UNTRAINED]} untrained controls"
    said += f", {counts[RELEASED]} released" if config.zoo else ""
    lines = [f"{config.name} ({path})", f"  encoders  {said}"]
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


def _estimate(jobs: list[Job], seconds: dict[str, float | None], known: list[JobCost]) -> str:
    missing = [job for job in jobs if not job.is_done()]
    total = f"\n{len(missing)} of {len(jobs)} jobs are missing. "
    if not missing:
        return total + "Whether all is up to date, `snakemake -n` says."
    timed = [seconds[job.rule] or 0.0 for job in missing if seconds[job.rule] is not None]
    if not timed:
        return total + "No such job was timed here yet, so there is no estimate."
    untimed = _unique(job.rule for job in missing if seconds[job.rule] is None)
    left_out = f" Left out, because never timed: {', '.join(untimed)}." if untimed else ""
    said = f"{total}About {clock(sum(timed))} one after another, by what such jobs took here.{left_out}"
    counts = Counter(job.rule for job in missing)
    hours = sum((_mean(known, rule, "gpu_seconds") or 0.0) * count for rule, count in counts.items()) / 3600
    return f"{said} About {_hours(hours)} GPU-hours of it on GPUs like those." if hours else said


def _costs(costs: list[TrainingCost]) -> Table:
    numbers = ("missing", "images each", "images/s", "hours each", "hours left")
    made = table("pre-training", *numbers, "on", "known by", numbers=numbers)
    for cost in costs:
        images = f"{cost.samples:,} × {cost.epochs}" if cost.samples else f"? × {cost.epochs}"
        speed = ("?",) if not cost.speed else (f"{cost.speed.images_per_second:,.0f}",)
        hours = ("?", "?") if cost.hours is None else (_hours(cost.hours), _hours(cost.hours * cost.missing))
        where = ("", "") if not cost.speed else (f"{cost.speed.count} × {cost.speed.device}", cost.speed.source)
        made.add_row(f"{cost.corpus}/{cost.recipe}", str(cost.missing), images, *speed, *hours, *where)
    return made


def _total(costs: list[TrainingCost]) -> str:
    """Sum up what the missing encoders cost, and say how to learn what is not known."""
    open_costs = [cost for cost in costs if cost.missing]
    known = [cost for cost in open_costs if cost.hours is not None]
    sums = {unit: sum(c.hours * c.missing for c in known if c.speed.kind == kind) for kind, unit in UNITS.items()}
    said = " and ".join(f"{_hours(hours)} {unit}" for unit, hours in sums.items() if hours)
    unknown = _unique(cost.recipe for cost in open_costs if cost.speed is None)
    lines = [f"About {said} of pre-training are missing; validation is not counted."] * bool(said)
    if unknown:
        lines.append(f"Not known: {', '.join(unknown)}. `nml plan --measure` trains each for some seconds here.")
    return "\n" + "\n".join(lines)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _measure(config: Config, path: str) -> None:
    """Let a process of its own measure each recipe, since it needs PyTorch and all of the device's memory."""
    for name in _unique(family.recipe for family in config.pretraining):
        command = [sys.executable, "-m", "nml.pretraining.measure", path, name, str(MEASURED / f"{name}.json")]
        if subprocess.run(command, check=False).returncode:
            raise UserError(f"the recipe '{name}' could not be measured; the reason stands above.")


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
