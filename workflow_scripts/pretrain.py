"""Adapter of rule pretrain: train one encoder on one noisy corpus."""

from pathlib import Path

from nml.config.defaults import MAX_CORRUPT_SHARE
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.jobs import job
from nml.pretraining.launch import launch
from nml.pretraining.run import Run

# The loader's workers import this file.
if __name__ == "__main__":
    with job(snakemake):
        wildcards = snakemake.wildcards
        run = Run(
            label=f"{wildcards.corpus}/{wildcards.recipe}/{wildcards.noise}/s{wildcards.seed}",
            corpus=open_corpus(wildcards.corpus),
            # Not beside the input: without a shared file system that is a copy, and the overlay is not with it.
            noise_dir=Path("results/noise", wildcards.corpus, wildcards.noise),
            recipe=Recipe.model_validate_json(snakemake.params.recipe),
            recipe_name=wildcards.recipe,
            seed=int(wildcards.seed),
            progress_dir=Path(snakemake.params.progress),
            code=snakemake.params.code,
            validate_on=open_corpus(snakemake.params.validate_on, ["validation"]),
            # Not a parameter: a run that is done is not to be done again when more images may be corrupt.
            # YAML takes 1e-3 for text; the configuration is checked, but not changed by it.
            max_corrupt_share=float(snakemake.config.get("max_corrupt_share", MAX_CORRUPT_SHARE)),
            # Not a parameter of the rule: watching is no reason to train again.
            watch=tuple(snakemake.config.get("watch", ())),
        )
        launch(
            run,
            out_dir=Path(snakemake.output.model).parent,
            threads=snakemake.threads,
            processes=max(1, snakemake.resources.get("gpu", 0)),
            log=Path(snakemake.log[0]),
            nodes=snakemake.resources.get("nodes", 1),
            starter=snakemake.resources.get("mpi", "srun"),
        )
