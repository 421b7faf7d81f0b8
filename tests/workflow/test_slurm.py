"""The workflow on a real SLURM of two nodes, from start to finish, through killed jobs, time limits and lost nodes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from nml.artifacts import read_json
from tests.workflow.conftest import Project, copy_sources
from tests.workflow.slurm import NODES, Job, Slurm, missing_tools, running_slurm, wait_until

pytestmark = pytest.mark.workflow

# With the profile as it is, but for what two processors and a hurry ask for.
OPTIONS = [
    *("--profile", "profiles/slurm", "--configfile", "presets/smoke.yaml"),
    *("--set-threads", "index_corpus=1", "pretrain=1", "tune=1"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"),
]
TWO_NODES = [f"pretrain:{name}" for name in ("gpu=2", "nodes=2", "mpi=srun", "tasks=2", "tasks_per_gpu=0")]
FAMILY = "emoji/resnet-smoke"
PRETRAIN = "rule_pretrain_wildcards_emoji_resnet-smoke"
CANCELLED, OUT_OF_TIME = f"{PRETRAIN}_symmetric-20_0", f"{PRETRAIN}_clean_0"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    if missing := missing_tools():
        if os.environ.get("NML_SCHEDULERS") == "required":
            pytest.fail(f"NML_SCHEDULERS=required, but {', '.join(missing)} are not installed")
        pytest.skip(f"{', '.join(missing)} are not installed (Debian: slurm-wlm and munge)")
    with running_slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@dataclass(frozen=True)
class OnSlurm(Project):
    """A project whose Snakemake gives its jobs to a SLURM."""

    slurm: Slurm

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("snakemake")), *OPTIONS, *arguments],
            cwd=self.path,
            env=self.environment | self.slurm.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def progress(self, noise: str) -> Path:
        return self.path / f"results/progress/{FAMILY}/{noise}/s0"

    def log(self, encoder: str) -> str:
        return (self.path / f"results/logs/pretrain/{encoder}.log").read_text()


@dataclass(frozen=True)
class Run:
    """A run that is over: the project, the jobs that SLURM had, and those that things happened to."""

    project: OnSlurm
    jobs: list[Job]
    cancelled: Job
    out_of_time: Job
    drained: str
    before_draining: set[str]


@pytest.fixture(scope="module")
def run(slurm: Slurm, tmp_path_factory) -> Run:
    """Every stage of a part of the smoke preset; on the way one job is cancelled, one hangs, and a node is drained."""
    project = OnSlurm(copy_sources(tmp_path_factory.mktemp("on-slurm")).path, slurm)
    preset = project.path / "presets/smoke.yaml"
    values = yaml.safe_load(preset.read_text())
    values |= {"pretraining": values["pretraining"][:1], "tasks": values["tasks"][:1]}
    preset.write_text(yaml.safe_dump(values))
    process = project.start("--set-resources", "pretrain:gpu=1")
    try:
        cancelled, out_of_time = _disturb(project, slurm)
        before = {job.number for job in slurm.jobs()}
        slurm.run("scontrol", "update", f"NodeName={out_of_time.nodes}", "State=DRAIN", "Reason=a test")
        output = process.communicate(timeout=1800)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output[-5000:]
    slurm.run("scontrol", "update", f"NodeName={out_of_time.nodes}", "State=RESUME")
    return Run(project, slurm.jobs(), cancelled, out_of_time, out_of_time.nodes, before)


def _disturb(project: OnSlurm, slurm: Slurm) -> tuple[Job, Job]:
    """Cancel one training after its first epoch, and halt another, which then runs into its time limit."""
    pending = {"symmetric-20": CANCELLED, "clean": OUT_OF_TIME}
    jobs = {}

    def strike() -> bool:
        for noise in [noise for noise in pending if any(project.progress(noise).glob("0*.safetensors"))]:
            jobs[noise] = slurm.running(pending.pop(noise))
            slurm.run("scancel", *(["--signal=STOP"] if noise == "clean" else []), jobs[noise].number)
        return not pending

    wait_until(strike, "both trainings have a checkpoint")
    slurm.run("scontrol", "update", f"JobId={jobs['clean'].number}", "TimeLimit=1")
    return jobs["symmetric-20"], jobs["clean"]


def test_a_run_goes_from_start_to_finish(run: Run) -> None:
    results = run.project.path / "results"
    assert (results / "report/index.html").stat().st_size > 0
    assert len(list((results / "cells").rglob("*.parquet"))) == 3 * 4 * 2, "encoders, methods, predictions"
    assert not list((results / "progress").rglob("*.safetensors"))
    rules = {path.name.partition(".")[0] for path in (results / "logs").iterdir() if path.name != "slurm"}
    completed = {job.comment.split("_wildcards")[0] for job in run.jobs if job.state == "COMPLETED"}
    assert completed == {f"rule_{rule}" for rule in rules}


def test_cells_are_those_of_a_run_without_a_scheduler(run: Run, finished: Project) -> None:
    calm, made = finished.cells(), run.project.cells()
    assert {path: made[path] == calm[path] for path in made} == dict.fromkeys(made, True)


@pytest.mark.parametrize(
    ("noise", "comment", "state"),
    [
        ("symmetric-20", CANCELLED, "CANCELLED"),
        ("clean", OUT_OF_TIME, "TIMEOUT"),
    ],
)
def test_what_was_killed_is_tried_again_and_goes_on_from_its_checkpoint(
    run: Run, noise: str, comment: str, state: str
) -> None:
    killed, *_, last = [job for job in run.jobs if job.comment == comment]
    assert (killed.state, last.state) == (state, "COMPLETED")
    assert killed.number in (run.cancelled.number, run.out_of_time.number)
    assert last.minutes > 60 > run.cancelled.minutes
    assert int(last.memory.removesuffix("M")) == 2 * int(killed.memory.removesuffix("M"))
    assert "resumed after epoch 1" in run.project.log(f"{FAMILY}/{noise}/s0")


def test_a_drained_node_gets_no_more_jobs(run: Run) -> None:
    later = [job for job in run.jobs if job.number not in run.before_draining]
    (other,) = set(NODES) - {run.drained}
    assert len(later) > 5
    assert {job.nodes for job in later} == {other}


def test_jobs_go_to_the_partition_that_has_what_they_need(run: Run) -> None:
    partitions = {job.comment.split("_wildcards")[0]: job.partition for job in run.jobs}
    on_gpus = {rule for rule, partition in partitions.items() if partition == "gpu"}
    assert on_gpus == {"rule_pretrain", "rule_tune"}


def test_a_training_on_two_nodes_is_started_by_srun(run: Run, slurm: Slurm) -> None:
    encoder = f"{FAMILY}/clean/s1"
    process = run.project.start("--set-resources", *TWO_NODES, "--", f"results/encoders/{encoder}/model.safetensors")
    try:
        output = process.communicate(timeout=900)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output[-5000:]
    assert slurm.jobs(f"{PRETRAIN}_clean_1")[-1].nodes == "n[1-2]"
    assert read_json(run.project.path / f"results/encoders/{encoder}/meta.json")["device"]["count"] == 2
    assert run.project.log(encoder).count("epoch 2: loss") == 1
