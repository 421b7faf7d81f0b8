# What all rules share: the checked configuration, the grid it spans, and the helpers that keep params narrow.
import fcntl
import hashlib
import json
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from nml import plugins
from nml.codehash import code_hash
from nml.config.load import check_config
from nml.config.references import SUPERVISION
from nml.corpora.catalogue import classes_file, groups_of, open_corpus
from nml.corpora.class_names import read_names
from nml.errors import UserError
from nml.grid import CLEAN, Noise, TaskAddress, cell_path, spectrum_path
from nml.task_entries import EmbeddedTask, readers_of
from nml.tasks.places import require_fetchable
from nml.tasks.project_files import said_by_project
from nml.config.grid import data_sets_of, encoders_of, pictured_noises

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
# Keys of a catalogue entry that do not change what is read of the data. Class names and groups are looked up by their
# values, so that one more column of their table changes nothing.
NOT_THE_DATA = {
    *("path", "source", "licence", "access", "samples", "size", "train_shards"),
    *("classes", "groups", "folders", "templates"),
}


# Names in targets: a scheduler's plugin may put them into a command, so they hold nothing that a shell acts on.
NAME = "[A-Za-z0-9][A-Za-z0-9._+@-]*"


wildcard_constraints:
    corpus=NAME,
    recipe=NAME,
    noise=f"(?!untrained|released){NAME}",
    seed=r"0|[1-9]\d*",
    encoder=rf"{NAME}/{NAME}/{NAME}/s(0|[1-9]\d*)",
    task=NAME,


@cache
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


def hashed(*facts):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def described(entry, class_names):
    """Hash what a catalogue entry says of the data, the list of what it holds, and the names of its classes.

    Modification times tell nothing after a clone. Where the data lies and how it is had makes no difference.
    """
    listed = Path(entry["path"], "info.json")
    facts = {key: value for key, value in entry.items() if key not in NOT_THE_DATA}
    return hashed(facts, listed.read_text(encoding="utf-8") if listed.is_file() else "", class_names)


def corpus_entry(corpus):
    return lookup(plugins.corpora(), corpus, "corpus in nml/corpora/catalogue.yaml")


@cache
def data_of(corpus):
    """Hash what a corpus holds; of a pool, what each of its members does, and their names, which its keys have."""
    entry = corpus_entry(corpus)
    if "pool" in entry:
        return hashed([(member, data_of(member)) for member in entry["pool"]])
    return described(entry, names_in(classes_file(entry)) if "classes" in entry else [])


def names_in(file):
    return read_names(file) if file.is_file() else []


def corpus_data(wildcards):
    return data_of(wildcards.corpus)


def validation_corpus(wildcards):
    """Return the corpus that a family of encoders is validated on."""
    named = [f.validate_on for f in CONFIG.pretraining if (f.corpus, f.recipe) == (wildcards.corpus, wildcards.recipe)]
    return next(filter(None, named), wildcards.corpus)


def validation_data(wildcards):
    return data_of(validation_corpus(wildcards))


def validation_templates(wildcards):
    """Return the prompts that classes are embedded with; encoders that learn labels have no use for them."""
    if SUPERVISION[lookup(CONFIG.recipes, wildcards.recipe, "recipe in the configuration").objective] != "captions":
        return []
    return corpus_entry(validation_corpus(wildcards)).get("templates", [])


def task_of(wildcards):
    """Return what a target's path says of its task."""
    try:
        task = TaskAddress.parse(wildcards.task)
    except UserError as error:
        raise WorkflowError(str(error))
    if task.fraction < 100:
        raise WorkflowError(f"'{task}' has no cell of its own: parts of a training split are rows of the whole task's.")
    return task


def task_entry(wildcards):
    return lookup(plugins.tasks(), task_of(wildcards).name, "task in nml/tasks/catalogue.yaml")


@cache
def described_task(name):
    """Hash what a task holds: of a real data set, what this project says, since it need not be on disk yet."""
    entry = plugins.tasks()[name]
    if isinstance(entry, EmbeddedTask):
        return described(entry.model_dump(), names_in(Path(entry.path, "classnames.txt")))
    return hashed(entry.model_dump(include={"classes", "tests", "layouts"}), said_by_project(entry))


def task_data(wildcards):
    task_entry(wildcards)
    return described_task(task_of(wildcards).name)


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
    return plugins.architecture_file(architecture)


def data_marker(task):
    """Return the file that is there when a task's data is."""
    entry = plugins.tasks()[task]
    return f"{entry.path}/info.json" if isinstance(entry, EmbeddedTask) else f"results/tasks/{task}/ready.json"


def task_marker(wildcards):
    task_entry(wildcards)
    return data_marker(task_of(wildcards).name)


def noise_groups(wildcards):
    """Hash the groups of classes that a noise works in; None if it needs none."""
    kind = noise_kind(wildcards.noise)
    if not grouped(kind):
        return None
    if kind not in corpus_entry(wildcards.corpus).get("groups", {}):
        raise WorkflowError(
            f"corpus '{wildcards.corpus}' has no groups of classes for '{kind}' in its catalogue entry."
        )
    return hashed(groups_of(wildcards.corpus, kind))


def percent_of(wildcards):
    """Return what the percents of a noise count; the configuration's word is about kinds that work in groups."""
    return CONFIG.percent_of if grouped(noise_kind(wildcards.noise)) else "corpus"


def grouped(kind):
    return kind != CLEAN and plugins.noise_kinds()[kind].get("GROUPS", False)


def noise_code(wildcards):
    kind = noise_kind(wildcards.noise)
    return code("inject_noise", *([plugins.source_file("noise/kinds", kind)] if kind != CLEAN else []))


def features_code(wildcards):
    return code_of("nml/features/extract.py", *features_files(wildcards))


def features_files(wildcards):
    """Return what reads a task and builds an encoder, which jobs load by name."""
    return [encoder_file(wildcards.encoder), *reader_files([task_of(wildcards).name])]


def reader_files(tasks):
    """Return what reads tasks, which jobs load by name."""
    readers = {
        name for task in tasks for name in readers_of(lookup(plugins.tasks(), task, "task in nml/tasks/catalogue.yaml"))
    }
    return [plugins.source_file(plugins.READERS, name) for name in sorted(readers)]


def tune_code(wildcards):
    return code("tune", *task_noise_files(wildcards))


def task_noise_files(wildcards):
    noise = task_of(wildcards).noise
    return [plugins.source_file("noise/kinds", noise.kind)] if noise.percent else []


def task_noise_seed(wildcards):
    return CONFIG.noise_seed if task_of(wildcards).noise.percent else None


def head_method(name):
    """Return the values of a black-box method, with the number of views that it draws from."""
    method = CONFIG.methods[name]
    is_trained = plugins.tuning_method(method.method or name).trained
    return method.model_dump(exclude_none=True) | {"views": (method.views or CONFIG.views) if is_trained else 1}


def method_files(methods):
    """Return the files with the code and the declarations of methods."""
    specs = [plugins.tuning_method(CONFIG.methods[name].method or name) for name in methods]
    return sorted({file for spec in specs for file in (spec.file, *spec.declared_in)})


def hyperparameters(wildcards):
    entry = lookup(CONFIG.methods, wildcards.method, "method in the configuration")
    return entry.model_dump_json(exclude_none=True)


def tune_encoder_code(wildcards):
    by_name = [*features_files(wildcards), *method_files([wildcards.method]), *task_noise_files(wildcards)]
    return code("tune_encoder", *by_name, *probe_files(wildcards.method))


def probe_files(method):
    """Return the method that the head of another one starts from, if its configuration says so."""
    values = CONFIG.methods[method].model_dump()
    return [plugins.tuning_method("lp").file] if values.get("initial_head") == "linear-probe" else []


def require_data(jobs):
    """Stop before the first job if the data of one of them must be had by hand; the error says how."""
    checks = {"fetch_task": require_fetchable, "index_corpus": open_corpus}
    for rule, name in sorted((job.rule.name, *job.wildcards) for job in jobs if job.rule.name in checks):
        try:
            checks[rule](name)
        except UserError as error:
            raise WorkflowError(str(error))


def hold_workflow_lock():
    """Keep a second run out of this folder. The kernel frees the lock however this run ends, so none is ever stale."""
    global _workflow_lock
    _workflow_lock = open(".snakemake/nml.lock", "w")
    try:
        fcntl.flock(_workflow_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError("another run of this workflow is at work in this folder. Wait for it, or end it first.")
