"""Adapter of rule tune: features, all methods and seeds, and the spectrum of one encoder on one task."""

import json
from pathlib import Path

from nml.devices import limit_threads
from nml.evaluation.task_cells import TaskCells, make_cells
from nml.grid import Encoder, TaskAddress
from nml.jobs import job

with job(snakemake) as cost:
    params = snakemake.params
    limit_threads(snakemake.threads)
    wanted = TaskCells(
        encoder=Encoder.parse(snakemake.wildcards.encoder),
        task=TaskAddress.parse(snakemake.wildcards.task),
        methods=json.loads(params.methods),
        method_code=json.loads(params.method_code),
        seeds=params.seeds,
        fractions=params.fractions,
        noise_seed=params.noise_seed,
        described=params.data,
        code=params.code,
        features_code=params.features_code,
        features=Path(params.features),
    )
    cells = {path.stem: path for path in map(Path, snakemake.output.cells)}
    make_cells(wanted, cells, Path(snakemake.output.spectrum), cost)
