"""A job takes its share of the devices that it has, however many `--set-resources` says, and all of a scheduler's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpus import install
from tests.workflow.conftest import ROOT

SNAKEFILE = f"""
from snakemake.exceptions import WorkflowError

include: "{ROOT}/rules/devices.smk"

onstart:
    limit_gpu_jobs()

rule heads:
    output: "taken"
    resources: gpu=1, gpu_percent=share_of_device(25)
    shell: "echo {{resources.gpu}} {{resources.gpu_percent}} > {{output}}"
"""


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
    done = run(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "taken").read_text().strip() == taken


def test_a_driver_that_fails_stops_a_run_before_its_first_job(tmp_path: Path) -> None:
    install(tmp_path / "driver", 2)
    (tmp_path / "driver/nvidia-smi").write_text("#!/bin/sh\necho Driver/library version mismatch; exit 18\n")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "exit code 18: Driver/library version mismatch" in done.stderr
    assert not (tmp_path / "taken").exists()
    assert run(tmp_path, "--set-resources", "heads:gpu=0").returncode == 0


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Make the output on a machine with two GPUs, or with what `folder` has in their driver's place."""
    path = f"{folder / 'driver'}{os.pathsep}{os.environ['PATH']}"
    if not (folder / "driver").exists():
        install(folder / "driver", 2)
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "taken", *options]
    return subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)
