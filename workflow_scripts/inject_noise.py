"""Adapter of rule inject_noise: write the overlay of one noise on one corpus."""

from pathlib import Path

from nml.corpora.catalogue import groups_of
from nml.grid import Noise
from nml.jobs import job
from nml.noise.inject import inject_noise

with job(snakemake):
    noise = Noise.parse(snakemake.wildcards.noise)
    inject_noise(
        corpus_dir=Path(snakemake.input.manifest).parent,
        noise=noise,
        seed=snakemake.params.seed,
        out_dir=Path(snakemake.output.manifest).parent,
        groups=groups_of(snakemake.wildcards.corpus, noise.kind),
        percent_of=snakemake.params.percent_of,
    )
