"""Adapter of rule tune_encoder: one method that changes the encoder, on one task, with all seeds."""

import json
from pathlib import Path

from nml.artifacts import write_json, write_parquet
from nml.devices import limit_threads
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA
from nml.evaluation.evaluate_encoder import evaluate_encoder
from nml.features.noisy import realised
from nml.grid import Encoder, TaskAddress
from nml.jobs import job
from nml.preemption import undisturbed
from nml.seeds import derive_seed
from nml.tasks.task import list_split, open_task
from nml.tuning.whitebox.run import open_tuning

with job(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    limit_threads(snakemake.threads)
    encoder = Encoder.parse(wildcards.encoder)
    progress = Path(params.progress)
    task, values = TaskAddress.parse(wildcards.task), json.loads(params.hyperparameters)
    run = open_tuning(str(encoder), str(task), wildcards.method, values, progress, params.code, params.noise_seed)
    # The seeds of rule tune, so that a head starts as that of a linear probe of this task does.
    seeds = {seed: derive_seed(encoder.recipe, f"s{encoder.seed}", task.name, seed) for seed in range(params.seeds)}
    result = evaluate_encoder(run, seeds, encoder.identity(), params.fractions)
    path = Path(snakemake.output.cell)
    about = {"split_variant": run.images.variant}
    if task.noise.percent:
        clean = open_task(task.name)
        splits = {"train": run.images.train.labels, "val": run.images.validation.labels}
        made = {split: realised(list_split(clean, split)[1], labels) for split, labels in splits.items()}
        about["label_noise"] = {"noise": str(task.noise), "seed": params.noise_seed} | made
    # This is sooner done than done again.
    with undisturbed():
        write_parquet(path, result.cells, CELL_SCHEMA)
        write_parquet(path.with_suffix(".predictions.parquet"), result.predictions, PREDICTIONS_SCHEMA)
        write_json(path.with_suffix(".meta.json"), result.metadata | about)
