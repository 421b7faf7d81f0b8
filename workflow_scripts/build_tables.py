"""Adapter of rule build_tables: from all cells to the tables."""

from pathlib import Path

from nml.jobs import job
from nml.reporting.tables import build_tables

with job(snakemake):
    build_tables(
        cell_files=snakemake.input.cells,
        spectrum_files=snakemake.input.spectra,
        encoder_metas=snakemake.input.metas,
        out_dir=Path(snakemake.output.main).parent,
    )
