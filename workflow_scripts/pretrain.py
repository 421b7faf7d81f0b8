"""Adapter of rule pretrain: train one encoder on one noisy corpus."""

from pathlib import Path

from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.devices import limit_threads
from nml.jobs import job
from nml.pretraining.engine import Run
from nml.pretraining.pretrain import pretrain

with job(snakemake):
    limit_threads(snakemake.threads)
    wildcards = snakemake.wildcards
    run = Run(
        label=f"{wildcards.corpus}/{wildcards.recipe}/{wildcards.noise}/s{wildcards.seed}",
        corpus=open_corpus(wildcards.corpus),
        noise_dir=Path(snakemake.input.noise).parent,
        recipe=Recipe.model_validate_json(snakemake.params.recipe),
        recipe_name=wildcards.recipe,
        seed=int(wildcards.seed),
        progress_dir=Path(snakemake.params.progress),
        code=snakemake.params.code,
    )
    pretrain(run, Path(snakemake.output.model).parent)
