"""Adapter of rule draw_noise: a picture of what one noise did to one corpus."""

from pathlib import Path

from nml.corpora.catalogue import open_corpus
from nml.jobs import job
from nml.noise.pictures import draw_noise

with job(snakemake):
    draw_noise(
        corpus=open_corpus(snakemake.wildcards.corpus),
        noise_dir=Path(snakemake.input.noise).parent,
        stem=Path(snakemake.output.png.removesuffix(".png")),
    )
