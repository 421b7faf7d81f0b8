"""Snakemake starts only as many jobs as the GPUs of a machine have room for, here a machine by its driver's tool."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nml.leases import VISIBLE
from tests.gpus import install
from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.workflow
# Of jobs that are at work together, the second finds the folder there, and fails.
SNAKEFILE = f"""
from snakemake.exceptions import WorkflowError

include: "{ROOT}/rules/devices.smk"

onstart:
    limit_gpu_jobs()

rule all:
    input:
        expand("{{n}}.done", n=range(3)),

rule work:
    output:
        "{{n}}.done",
    resources:
        gpu=1,
        gpu_percent=whole_devices,
    shell:
        "mkdir at-work && sleep 1 && rmdir at-work && touch {{output}}"
"""


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run three jobs on a machine with one GPU."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    environment = os.environ | {"PATH": install(folder / "driver", 1), "PYTHONPATH": str(ROOT)}
    environment.pop(VISIBLE, None)
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "3", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_jobs_that_take_a_whole_device_follow_each_other(tmp_path):
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.done"))) == 3


def test_what_the_user_says_comes_first(tmp_path):
    assert snakemake(tmp_path, "--resources", "gpu_percent=300").returncode == 1, "they are at work together"


def test_a_rule_that_asks_for_more_devices_than_there_are_is_refused(tmp_path):
    refused = snakemake(tmp_path, "--set-resources", "work:gpu=2")
    assert refused.returncode == 1
    assert "rule work asks for 2 GPUs, and this machine has 1 for it" in refused.stderr
    assert not list(tmp_path.glob("*.done"))
