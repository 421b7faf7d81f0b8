"""Snakemake's own limit of job starts, which would keep its main loop busy, is lifted; another one stays."""

import subprocess
import sys
from pathlib import Path

import pytest

SCHEDULING = Path(__file__).parents[2] / "rules" / "scheduling.smk"
SNAKEFILE = f"""\
include: "{SCHEDULING}"


onstart:
    lift_default_limit()
    limiter = workflow.scheduler.job_rate_limiter
    print("limit", limiter and (limiter.max_jobs, limiter.timespan), flush=True)


rule all:
    output:
        touch("done"),
"""


@pytest.mark.workflow
@pytest.mark.parametrize(("given", "kept"), [((), None), (("--max-jobs-per-timespan", "5/2s"), (5, 2.0))])
def test_only_the_default_limit_is_lifted(tmp_path, given, kept):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *given]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"limit {kept}\n" in run.stdout
    assert (tmp_path / "done").exists()
