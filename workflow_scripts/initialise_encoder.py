"""Adapter of rule initialise_encoder: the untrained control of a recipe."""

from pathlib import Path

from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.devices import limit_threads
from nml.grid import UNTRAINED, Encoder, Noise
from nml.jobs import job
from nml.pretraining.control import initialise

with job(snakemake):
    limit_threads(snakemake.threads)
    corpus, recipe, seed = snakemake.wildcards.corpus, snakemake.wildcards.recipe, int(snakemake.wildcards.seed)
    initialise(
        encoder=Encoder(corpus, recipe, Noise(UNTRAINED), seed),
        corpus=open_corpus(corpus),
        recipe=Recipe.model_validate_json(snakemake.params.recipe),
        out_dir=Path(snakemake.output.model).parent,
    )
