"""Adapter of rule tune: features, all methods and seeds, and the spectrum of one encoder on one task."""

import json
import logging
from pathlib import Path

from nml.artifacts import write_json, write_parquet
from nml.devices import choose_device, limit_threads
from nml.evaluation.cells import CELL_SCHEMA, PREDICTIONS_SCHEMA, SPECTRUM_SCHEMA, spectrum_rows
from nml.evaluation.evaluate import evaluate
from nml.evaluation.kept import keep, restore
from nml.features.cache import cached_features, features_key
from nml.features.noisy import with_label_noise
from nml.grid import Encoder, TaskAddress
from nml.jobs import job
from nml.seeds import derive_seed

with job(snakemake):
    params, task = snakemake.params, TaskAddress.parse(snakemake.wildcards.task)
    limit_threads(snakemake.threads)
    encoder, methods = Encoder.parse(snakemake.wildcards.encoder), json.loads(params.methods)
    data = {
        "features": features_key(str(encoder), task.name, params.features_code),
        **{"encoder": str(encoder), "task": str(task), "noise_seed": params.noise_seed, "code": params.code},
    }
    common, codes = data | {"seeds": params.seeds, "fractions": params.fractions}, json.loads(params.method_code)
    made_from = {name: common | {"method": values, "method_code": codes[name]} for name, values in methods.items()}
    files = {
        path.stem: [path, path.with_suffix(".predictions.parquet"), path.with_suffix(".meta.json")]
        for path in map(Path, snakemake.output.cells)
    }
    spectrum = Path(snakemake.output.spectrum)
    missing = [name for name in files if not restore(files[name], made_from[name])]
    is_spectrum_missing = not restore([spectrum], data)
    logging.getLogger("nml").info("to make: %s; the others are as they were", ", ".join(missing) or "nothing")
    if missing or is_spectrum_missing:
        views = max((values["views"] for values in methods.values()), default=1)
        features = cached_features(str(encoder), task.name, Path(params.features), params.features_code, views)
        record = {}
        if task.noise.percent:
            features, record["label_noise"] = with_label_noise(features, task, params.noise_seed)
    if is_spectrum_missing:
        write_parquet(spectrum, spectrum_rows(features, encoder.identity()), SPECTRUM_SCHEMA)
        keep([spectrum], data)
    if missing:
        # Without any noise: a task's heads start alike at every noise ratio, so their differences come from the noise.
        seeds = {seed: derive_seed(encoder.recipe, f"s{encoder.seed}", task.name, seed) for seed in range(params.seeds)}
        wanted, device = {name: methods[name] for name in missing}, str(choose_device())
        results = evaluate(features, wanted, seeds, encoder.identity(), device, params.fractions)
        for name, result in results.items():
            write_parquet(files[name][0], result.cells, CELL_SCHEMA)
            write_parquet(files[name][1], result.predictions, PREDICTIONS_SCHEMA)
            write_json(files[name][2], result.metadata | {"split_variant": features.variant} | record)
            keep(files[name], made_from[name])
