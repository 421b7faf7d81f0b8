"""Adapter of rule tune: features, all methods and seeds, and the spectrum of one encoder on one task."""

import json
from pathlib import Path

from nml.artifacts import write_json, write_parquet
from nml.devices import choose_device, limit_threads
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA, SPECTRUM_SCHEMA, spectrum_rows
from nml.evaluation.evaluate import evaluate
from nml.features.cache import cached_features
from nml.features.noisy import with_label_noise
from nml.grid import Encoder, TaskAddress
from nml.jobs import job
from nml.seeds import derive_seed

with job(snakemake):
    params, task = snakemake.params, TaskAddress.parse(snakemake.wildcards.task)
    limit_threads(snakemake.threads)
    encoder = Encoder.parse(snakemake.wildcards.encoder)
    features, record = (
        cached_features(str(encoder), task.name, Path(params.features), params.features_code, params.views),
        {},
    )
    if task.noise.percent:
        features, record["label_noise"] = with_label_noise(features, task, params.noise_seed)
    # Without any noise: a task's heads start alike at every noise ratio, so their differences come from the noise.
    seeds = {seed: derive_seed(encoder.recipe, f"s{encoder.seed}", task.name, seed) for seed in range(params.seeds)}
    methods = json.loads(params.methods)
    device, fractions = str(choose_device()), params.fractions
    # Without a method on features, the spectrum is all that is asked for.
    results = evaluate(features, methods, seeds, encoder.identity(), device, fractions) if methods else {}
    write_parquet(snakemake.output.spectrum, spectrum_rows(features, encoder.identity()), SPECTRUM_SCHEMA)
    for path in map(Path, snakemake.output.cells):
        result = results[path.stem]
        write_parquet(path, result.cells, CELL_SCHEMA)
        write_parquet(path.with_suffix(".predictions.parquet"), result.predictions, PREDICTIONS_SCHEMA)
        about = {"split_variant": features.variant} | record
        write_json(path.with_suffix(".meta.json"), result.metadata | about)
