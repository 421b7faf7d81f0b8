"""Adapter of rule initialise_encoder: the untrained control of a recipe."""

from pathlib import Path

from nml.config.recipes import Recipe
from nml.grid import NO_CORPUS, UNTRAINED, Encoder, Noise
from nml.jobs import job
from nml.pretraining.pretrain import initialise

with job(snakemake):
    recipe, seed = snakemake.wildcards.recipe, int(snakemake.wildcards.seed)
    initialise(
        label=str(Encoder(NO_CORPUS, recipe, Noise(UNTRAINED), seed)),
        recipe=Recipe.model_validate_json(snakemake.params.recipe),
        recipe_name=recipe,
        seed=seed,
        out_dir=Path(snakemake.output.model).parent,
    )
