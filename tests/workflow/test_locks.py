"""A run on a file system without locks says so and ends, at its start and at its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

SNAKEFILE = f"""\
import errno
import fcntl
import os
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from nml.errors import UserError


def flock(*_):
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


fcntl.flock = flock


include: "{ROOT}/rules/lock.smk"
include: "{ROOT}/rules/progress.smk"


onstart:
    hold_workflow_lock()


rule all:
    output:
        touch("done"),
"""


@pytest.mark.workflow
def test_a_file_system_without_locks_is_named(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "results/progress").mkdir(parents=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"the file system of {tmp_path}/.snakemake has no locks" in refused.stderr
    assert "option flock" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "done").exists()
    (tmp_path / "done").touch()
    idle = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Nothing to be done" in idle.stderr and "Traceback" not in idle.stderr
