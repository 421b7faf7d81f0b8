"""Adapter of rule materialise: full noisy shards, for other people's tools."""

from pathlib import Path

from nml.corpora.catalogue import open_corpus
from nml.jobs import job
from nml.noise.materialise import materialise

# The worker processes import this file.
if __name__ == "__main__":
    with job(snakemake):
        materialise(
            corpus=open_corpus(snakemake.wildcards.corpus),
            noise_dir=Path(snakemake.input.noise).parent,
            out_dir=Path(snakemake.output.manifest).parent,
            workers=snakemake.threads,
        )
