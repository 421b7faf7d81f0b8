"""Adapter of rule build_tables: from all cells to the tables."""

from pathlib import Path

from nml.jobs import job, shared_path
from nml.reporting.tables import build_tables

with job(snakemake):
    build_tables(
        # Not the inputs: without a shared file system these are copies, and what the jobs cost is not with them.
        cell_files=[shared_path(cell) for cell in snakemake.input.cells],
        spectrum_files=snakemake.input.spectra,
        encoder_metas=snakemake.input.metas,
        out_dir=Path(snakemake.output.main).parent,
    )
