"""Adapter of rule draw_noise: a picture of what one noise did to one corpus."""

from pathlib import Path

from nml.corpora.catalogue import open_corpus
from nml.jobs import job
from nml.noise.pictures import draw_noise

with job(snakemake):
    draw_noise(
        corpus=open_corpus(snakemake.wildcards.corpus),
        # Not beside the input: without a shared file system that is a copy, and the overlay is not with it.
        noise_dir=Path("results/noise", snakemake.wildcards.corpus, snakemake.wildcards.noise),
        stem=Path(snakemake.output.png.removesuffix(".png")),
    )
