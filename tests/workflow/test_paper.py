"""The papers' matrix on a machine without any of its data."""

import re
import shutil

import pytest

from tests.workflow.conftest import Project, copy_sources

pytestmark = pytest.mark.workflow
PAPER = ("--configfile", "presets/paper.yaml")


@pytest.fixture
def bare(project: Project) -> Project:
    """The sources without any data, the embedded included."""
    shutil.rmtree(project.path / "data")
    return project


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> str:
    """What a dry run without any data prints."""
    project = copy_sources(tmp_path_factory.mktemp("bare"))
    shutil.rmtree(project.path / "data")
    return project.snakemake(*PAPER, "--dry-run")


def test_a_dry_run_lists_every_job(listed: str) -> None:
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", listed, re.MULTILINE)}
    encoders = (1 + 4 + 5) + (1 + 4) + (1 + 4)
    assert counts["pretrain"] == counts["inject_noise"] == encoders
    assert counts["tune"] == (encoders + 3) * 17 == counts["tune_encoder"] / 4
    assert (counts["fetch_task"], counts["index_corpus"], counts["draw_tasks"]) == (17, 3, 1)


def asked(listed: str) -> dict[str, list[dict[str, int]]]:
    """Return what each job asks for, by its rule."""
    jobs: dict[str, list[dict[str, int]]] = {}
    pattern = r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    resources: (.*)$"
    for rule, resources in re.findall(pattern, listed, re.MULTILINE):
        jobs.setdefault(rule, []).append({key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", resources)})
    return jobs


def test_every_job_says_what_it_needs(listed: str) -> None:
    jobs = asked(listed)
    assert jobs.pop("all") == [{}]
    assert sum(map(len, jobs.values())) == 2026
    assert all({"mem_mb", "runtime"} <= job.keys() for asks in jobs.values() for job in asks)
    assert max(job["runtime"] for asks in jobs.values() for job in asks) == 1440
    assert {rule for rule, asks in jobs.items() if all(job.get("gpu") for job in asks)} == {
        "pretrain",
        "tune",
        "tune_encoder",
    }


def test_large_tasks_need_more_than_small_ones(listed: str) -> None:
    memory = sorted({job["mem_mb"] for job in asked(listed)["tune"]})
    assert memory[0] < 10_000
    assert memory[-1] > 50_000, "ImageNet"


def test_a_run_stops_at_the_first_gate_with_what_to_do(bare: Project) -> None:
    output = bare.snakemake(*PAPER, fails=True)
    assert "task 'imagenet' (ImageNet-1K and its variants) is not on disk" in output
    assert "make an account at image-net.org, accept the terms" in output
    assert "Traceback" not in output
    assert not (bare.path / "results").exists() and not (bare.path / "data").exists()


def test_a_corpus_behind_a_gate_stops_a_run_too(bare: Project) -> None:
    output = bare.snakemake(*PAPER, "--", "results/corpora/imagenet1k/manifest.json", fails=True)
    assert "The data set is gated: log in there" in output
    assert not (bare.path / "results").exists()


def test_a_job_that_cannot_fetch_says_what_to_do(bare: Project) -> None:
    target = "results/tasks/stanford-cars/ready.json"
    output = bare.snakemake(*PAPER, "--no-hooks", "--", target, fails=True)
    assert "fetch_task: task 'stanford-cars' (Stanford Cars) is not on disk" in output
    assert "Traceback" not in output


def test_embedded_tasks_are_never_fetched(project: Project) -> None:
    jobs = project.jobs()
    assert "fetch_task" not in jobs and jobs["draw_tasks"] == 1


def test_a_part_of_a_training_split_has_no_cell(project: Project) -> None:
    target = "results/cells/emoji/resnet-smoke/clean/s0/handwritten-digits@25/lp.parquet"
    output = project.snakemake("--dry-run", "--", target, fails=True)
    assert "parts of a training split are rows of the whole task's" in output
