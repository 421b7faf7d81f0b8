"""Adapter of rule draw_tasks: a picture of every task of the configuration."""

from pathlib import Path

from nml.jobs import job
from nml.tasks.pictures import draw_tasks

with job(snakemake):
    draw_tasks(zip(snakemake.params.tasks, map(Path, snakemake.output.png), strict=True))
