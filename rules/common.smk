# What all rules share: the checked configuration, the grid it spans, and the helpers that keep params narrow.
import fcntl
import hashlib
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from nml import plugins
from nml.codehash import code_hash
from nml.config.load import check_config
from nml.errors import UserError
from nml.grid import Noise, cell_path, spectrum_path
from nml.config.grid import encoders_of

try:
    CONFIG = check_config(config, source=", ".join(map(str, workflow.configfiles)) or "the configuration")
except UserError as error:
    raise WorkflowError(str(error))

METHODS = sorted(CONFIG.methods)
ENCODERS = encoders_of(CONFIG)
CELLS = [str(cell_path(e, task, method)) for e in ENCODERS for task in CONFIG.tasks for method in METHODS]
SPECTRA = [str(spectrum_path(e, task)) for e in ENCODERS for task in CONFIG.tasks]


wildcard_constraints:
    corpus="[^/]+",
    recipe="[^/]+",
    noise="[^/]+",
    seed=r"\d+",
    encoder=r"[^/]+/[^/]+/[^/]+/s\d+",
    task="[^/]+",


def code_of(*files):
    """Hash source files of the project and what they import."""
    return code_hash([Path(workflow.basedir, file) for file in files])


def code(script, *modules):
    """Hash the code behind a rule: its script, what that imports, and modules that it loads by name."""
    return code_of(f"workflow_scripts/{script}.py", *modules)


def digest(path):
    """Hash a small file of the repository; its modification time tells nothing after a clone."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def lookup(table, name, what):
    """Return an entry by the name in a target's path, or say which names there are."""
    if name not in table:
        raise WorkflowError(f"{what} '{name}' is not in the configuration. Allowed: {', '.join(sorted(table))}.")
    return table[name]


def recipe_json(wildcards):
    return lookup(CONFIG.recipes, wildcards.recipe, "recipe").model_dump_json()


def architecture_file(recipe):
    architecture = lookup(CONFIG.recipes, recipe, "recipe").architecture
    return f"nml/pretraining/architectures/{architecture.replace('-', '_')}.py"


def corpus_info(wildcards):
    return f"{lookup(plugins.corpora(), wildcards.corpus, 'corpus')['path']}/info.json"


def task_info(wildcards):
    return f"{lookup(plugins.tasks(), wildcards.task, 'task')['path']}/info.json"


def noise_code(wildcards):
    kind = Noise.parse(wildcards.noise).kind
    file = f"nml/noise/kinds/{kind.replace('-', '_')}.py"
    return code("inject_noise", *([file] if kind in plugins.noise_kinds() else []))


def features_code(wildcards):
    return code_of("nml/features/extract.py", architecture_file(wildcards.encoder.split("/")[1]))


def method_files():
    return [f"nml/tuning/methods/{name.replace('-', '_')}.py" for name in METHODS]


def hold_workflow_lock():
    """Keep a second run out of this folder. The kernel frees the lock however this run ends, so none is ever stale."""
    global _workflow_lock
    _workflow_lock = open(".snakemake/nml.lock", "w")
    try:
        fcntl.flock(_workflow_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError("another run of this workflow is at work in this folder. Wait for it, or end it first.")
