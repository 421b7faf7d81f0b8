"""Jobs take their share of a machine's GPUs, and Snakemake starts no more than fit; here as a driver's tool tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nml.leases import VISIBLE
from tests.gpus import install
from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.workflow
HEAD = f"""
from snakemake.exceptions import WorkflowError

include: "{ROOT}/rules/devices.smk"

onstart:
    limit_gpu_jobs()
"""
# Of jobs that are at work together, the second finds the folder there, and fails.
THREE_JOBS = """
rule all:
    input: expand("{n}.done", n=range(3))

rule work:
    output: "{n}.done"
    resources: gpu=1, gpu_percent=share_of_device(100)
    shell: "mkdir at-work && sleep 1 && rmdir at-work && touch {output}"
"""
A_QUARTER = """
rule heads:
    output: "taken"
    resources: gpu=1, gpu_percent=share_of_device(25)
    shell: "echo {resources.gpu} {resources.gpu_percent} > {output}"
"""


def snakemake(folder: Path, rules: str, devices: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Run rules on a machine with GPUs, or with what `folder` has in their driver's place."""
    if not (folder / "driver").exists():
        install(folder / "driver", devices)
    (folder / "Snakefile").write_text(HEAD + rules)
    environment = os.environ | {"PATH": f"{folder / 'driver'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop(VISIBLE, None)
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "3", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_jobs_that_take_a_whole_device_follow_each_other(tmp_path: Path) -> None:
    done = snakemake(tmp_path, THREE_JOBS, 1)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.done"))) == 3


def test_what_the_user_says_comes_first(tmp_path: Path) -> None:
    together = snakemake(tmp_path, THREE_JOBS, 1, "--resources", "gpu_percent=300")
    assert together.returncode == 1 and "at-work" in together.stderr and "File exists" in together.stderr


def test_a_rule_that_asks_for_more_devices_than_there_are_is_refused(tmp_path: Path) -> None:
    refused = snakemake(tmp_path, THREE_JOBS, 1, "--set-resources", "work:gpu=2")
    assert refused.returncode == 1
    assert "rule work asks for 2 GPUs, and this machine has 1 for it" in refused.stderr
    assert not list(tmp_path.glob("*.done"))


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ([], "1 25"),
        (["--set-resources", "heads:gpu=0"], "0 0"),
        (["--set-resources", "heads:gpu=2"], "2 50"),
        # As schedulers' plugins start a job on its node.
        (["--mode", "remote"], "1 100"),
    ],
)
def test_a_job_takes_its_share_of_the_devices_that_it_has(options: list[str], taken: str, tmp_path: Path) -> None:
    done = snakemake(tmp_path, A_QUARTER, 2, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "taken").read_text().strip() == taken


def test_a_driver_that_fails_stops_a_run_before_its_first_job(tmp_path: Path) -> None:
    install(tmp_path / "driver", 2)
    (tmp_path / "driver/nvidia-smi").write_text("#!/bin/sh\necho Driver/library version mismatch; exit 18\n")
    done = snakemake(tmp_path, A_QUARTER, 2)
    assert done.returncode == 1
    assert "exit code 18: Driver/library version mismatch" in done.stderr
    assert not (tmp_path / "taken").exists()
    assert snakemake(tmp_path, A_QUARTER, 2, "--set-resources", "heads:gpu=0").returncode == 0
