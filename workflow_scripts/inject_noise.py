"""Adapter of rule inject_noise: write the overlay of one noise on one corpus."""

from pathlib import Path

from nml.grid import Noise
from nml.jobs import job
from nml.noise.inject import inject_noise

with job(snakemake):
    inject_noise(
        corpus_dir=Path(snakemake.input.manifest).parent,
        noise=Noise.parse(snakemake.wildcards.noise),
        seed=snakemake.params.seed,
        out_dir=Path(snakemake.output.manifest).parent,
    )
