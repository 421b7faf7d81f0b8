"""Adapter of rule draw_figures: from the tables to the figures."""

from pathlib import Path

from nml.jobs import job
from nml.reporting.figures import draw_figures

with job(snakemake):
    draw_figures(Path(snakemake.input[0]).parent, Path(snakemake.output[0]).parent)
