"""Adapter of rule import_encoder: an encoder that others have released, in the form of those that are trained here."""

from pathlib import Path

from nml.config.zoo import ReleasedModel
from nml.devices import limit_threads
from nml.encoders.released import import_released
from nml.jobs import job

with job(snakemake):
    limit_threads(snakemake.threads)
    model = ReleasedModel.model_validate_json(snakemake.params.model)
    import_released(snakemake.wildcards.model, model, Path(snakemake.output.model).parent)
