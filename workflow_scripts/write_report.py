"""Adapter of rule write_report: tables and figures on one page."""

from pathlib import Path

from nml.jobs import job
from nml.reporting.report import write_report

with job(snakemake):
    write_report(
        tables_dir=Path(snakemake.input.tables[0]).parent,
        figures_dir=Path(snakemake.input.figures[0]).parent,
        noise_pictures=snakemake.input.noise,
        task_pictures=snakemake.input.tasks,
        out_file=Path(snakemake.output[0]),
        title=snakemake.params.title,
        # Where the page finds them: without a shared file system, its own folder is another one for a while.
        results_dir=Path(snakemake.output[0]).parents[1],
    )
