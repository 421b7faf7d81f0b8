"""Adapter of rule fetch_task: get the data of one task, and say where it is."""

from nml.artifacts import write_json
from nml.jobs import job
from nml.tasks.fetch import fetch_task

with job(snakemake):
    write_json(snakemake.output.ready, fetch_task(snakemake.wildcards.task))
