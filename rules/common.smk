# What all rules share: the checked configuration, the grid it spans, and the helpers that keep params narrow.
import fcntl
import hashlib
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from nml import plugins
from nml.codehash import code_hash
from nml.config.load import check_config
from nml.config.references import SUPERVISION
from nml.errors import UserError
from nml.grid import CLEAN, Noise, cell_path, spectrum_path
from nml.config.grid import encoders_of

try:
    CONFIG = check_config(config, source=", ".join(map(str, workflow.configfiles)) or "the configuration")
except UserError as error:
    raise WorkflowError(str(error))

METHODS = sorted(CONFIG.methods)
ENCODERS = encoders_of(CONFIG)
CELLS = [str(cell_path(e, task, method)) for e in ENCODERS for task in CONFIG.tasks for method in METHODS]
PREDICTIONS = [cell.removesuffix(".parquet") + ".predictions.parquet" for cell in CELLS]
SPECTRA = [str(spectrum_path(e, task)) for e in ENCODERS for task in CONFIG.tasks]


wildcard_constraints:
    corpus="[^/]+",
    recipe="[^/]+",
    noise="(?!untrained)[^/]+",
    seed=r"0|[1-9]\d*",
    encoder=r"[^/]+/[^/]+/[^/]+/s(0|[1-9]\d*)",
    task="[^/]+",


def code_of(*files):
    """Hash source files of the project and what they import."""
    return code_hash([Path(workflow.basedir, file) for file in files])


def code(script, *modules):
    """Hash the code behind a rule: its script, what that imports, and modules that it loads by name."""
    return code_of(f"workflow_scripts/{script}.py", *modules)


def lookup(table, name, what):
    """Return an entry by the name in a target's path, or say which names there are."""
    if name not in table:
        raise WorkflowError(f"there is no {what} '{name}'. Allowed: {', '.join(sorted(table))}.")
    return table[name] if isinstance(table, dict) else name


def described(entry):
    """Hash a catalogue entry and the list of what the data holds: modification times tell nothing after a clone."""
    files = [Path(entry["path"], name) for name in ("info.json", entry.get("classes", "classnames.txt"))]
    parts = [json.dumps(entry, sort_keys=True).encode(), *(path.read_bytes() for path in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def corpus_data(wildcards):
    return described(lookup(plugins.corpora(), wildcards.corpus, "corpus in nml/corpora/catalogue.yaml"))


def task_data(wildcards):
    return described(lookup(plugins.tasks(), wildcards.task, "task in nml/tasks/catalogue.yaml"))


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


def architecture_file(recipe):
    architecture = lookup(CONFIG.recipes, recipe, "recipe in the configuration").architecture
    return plugins.source_file("pretraining/architectures", architecture)


def corpus_info(wildcards):
    return f"{lookup(plugins.corpora(), wildcards.corpus, 'corpus in nml/corpora/catalogue.yaml')['path']}/info.json"


def task_info(wildcards):
    return f"{lookup(plugins.tasks(), wildcards.task, 'task in nml/tasks/catalogue.yaml')['path']}/info.json"


def noise_code(wildcards):
    kind = noise_kind(wildcards.noise)
    return code("inject_noise", *([plugins.source_file("noise/kinds", kind)] if kind != CLEAN else []))


def features_code(wildcards):
    return code_of("nml/features/extract.py", architecture_file(wildcards.encoder.split("/")[1]))


def method_files():
    return [plugins.source_file("tuning/methods", name) for name in METHODS]


def hold_workflow_lock():
    """Keep a second run out of this folder. The kernel frees the lock however this run ends, so none is ever stale."""
    global _workflow_lock
    _workflow_lock = open(".snakemake/nml.lock", "w")
    try:
        fcntl.flock(_workflow_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError("another run of this workflow is at work in this folder. Wait for it, or end it first.")
