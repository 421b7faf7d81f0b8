# What all rules share: the checked configuration, the grid that it spans, and the values of its entries as params.
import gc
import json
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from nml import plugins
from nml.config.load import check_config
from nml.config.references import SUPERVISION
from nml.errors import UserError
from nml.grid import CLEAN, RELEASED, UNTRAINED, Noise, TaskAddress, cell_path, spectrum_path
from nml.config.grid import data_sets_of, encoders_of, pictured_noises

# The jobs of a large matrix are millions of small objects that live as long as Snakemake. Looking through them for
# garbage as often as Python does by default takes a tenth of the time of a dry run.
gc.set_threshold(100_000, 50, 50)

try:
    CONFIG = check_config(config, source=", ".join(map(str, workflow.configfiles)) or "the configuration")
except UserError as error:
    raise WorkflowError(str(error))

METHODS = sorted(CONFIG.methods)
# Methods on features share a job; each that changes the encoder has its own.
ENCODER_METHODS = [name for name in METHODS if plugins.changes_encoder(CONFIG.methods[name].method or name)]
HEAD_METHODS = [name for name in METHODS if name not in ENCODER_METHODS]
ENCODERS = encoders_of(CONFIG)
CELLS = [str(cell_path(e, task, method)) for e in ENCODERS for task in CONFIG.tasks for method in METHODS]
PREDICTIONS = [cell.removesuffix(".parquet") + ".predictions.parquet" for cell in CELLS]
SPECTRA = [str(spectrum_path(e, task)) for e in ENCODERS for task in CONFIG.tasks]
# Pictures are of the data sets; the noise that a configuration adds to their labels is not shown.
TASK_PICTURES = [f"results/figures/tasks/{task}.png" for task in data_sets_of(CONFIG)]
NOISE_PICTURES = [f"results/figures/noise/{corpus}/{noise}.png" for corpus, noise in pictured_noises(CONFIG)]


# Names in targets: a scheduler's plugin may put them into a command, so they hold nothing that a shell acts on.
NAME = "[A-Za-z0-9][A-Za-z0-9._+@-]*"


wildcard_constraints:
    corpus=NAME,
    recipe=NAME,
    # A slash or the point of an ending follows: kinds of noise may begin with these words.
    noise=f"(?!({UNTRAINED}|{RELEASED})[/.]){NAME}",
    seed=r"0|[1-9]\d*",
    encoder=rf"{NAME}/{NAME}/{NAME}/s(0|[1-9]\d*)",
    task=NAME,


def lost_metadata(wildcards):
    """Return the metadata that are missing where their cell is there; a job makes both.

    So none is forgotten, and Snakemake need not look at all of them each time, which would take it seconds.
    """
    there = [cell.removesuffix(".parquet") for cell in CELLS if Path(cell).is_file()]
    return [f"{cell}.meta.json" for cell in there if not Path(f"{cell}.meta.json").is_file()]


def lookup(table, name, what):
    """Return an entry by the name in a target's path, or say which names there are."""
    if name not in table:
        raise WorkflowError(f"there is no {what} '{name}'. Allowed: {', '.join(sorted(table))}.")
    return table[name] if isinstance(table, dict) else name


def recipe_json(wildcards):
    recipe = lookup(CONFIG.recipes, wildcards.recipe, "recipe in the configuration")
    noise, learns_from = wildcards.get("noise", CLEAN), SUPERVISION[recipe.objective]
    if noise != CLEAN and plugins.noise_kinds()[noise_kind(noise)]["CORRUPTS"] != learns_from:
        raise WorkflowError(f"noise '{noise}' does not change the {learns_from} that '{wildcards.recipe}' learns from.")
    return recipe.model_dump_json()


def noise_kind(noise):
    try:
        kind = Noise.parse(noise).kind
    except UserError as error:
        raise WorkflowError(str(error))
    lookup({CLEAN, *plugins.noise_kinds()}, kind, "noise kind")
    return kind


def percent_of(wildcards):
    """Return what the percents of a noise count; the configuration's word is about kinds that work in groups."""
    return CONFIG.percent_of if grouped(noise_kind(wildcards.noise)) else "corpus"


def grouped(kind):
    return kind != CLEAN and plugins.noise_kinds()[kind].get("GROUPS", False)


def task_noise_seed(wildcards):
    return CONFIG.noise_seed if task_of(wildcards).noise.percent else None


def head_method(name):
    """Return the values of a black-box method, with the number of views that it draws from."""
    method = CONFIG.methods[name]
    is_trained = plugins.tuning_method(method.method or name).trained
    return method.model_dump(exclude_none=True) | {"views": (method.views or CONFIG.views) if is_trained else 1}


def hyperparameters(wildcards):
    entry = lookup(CONFIG.methods, wildcards.method, "method in the configuration")
    return entry.model_dump_json(exclude_none=True)
