"""Adapter of rule draw_tasks: a picture of every task of the configuration."""

from pathlib import Path

from nml.jobs import job
from nml.tasks.pictures import draw_task
from nml.tasks.task import open_task

with job(snakemake):
    for task, file in zip(snakemake.params.tasks, snakemake.output.png, strict=True):
        draw_task(open_task(task), Path(file))
