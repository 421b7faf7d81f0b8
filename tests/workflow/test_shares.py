"""A job takes its share of the devices that it has, however many `--set-resources` says, and all of a scheduler's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpus import install
from tests.workflow.conftest import ROOT

SNAKEFILE = f"""
include: "{ROOT}/rules/devices.smk"

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
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    environment = os.environ | {"PATH": install(tmp_path / "driver", 2)}
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "taken", *options]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (tmp_path / "taken").read_text().strip() == taken
