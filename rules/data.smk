# What data a job reads: its entries in the catalogues, hashes of what it holds, and whether it is here.
import hashlib

from nml.corpora.catalogue import classes_file, groups_of, open_corpus
from nml.corpora.class_names import read_names
from nml.task_entries import EmbeddedTask
from nml.tasks.places import require_fetchable
from nml.tasks.project_files import said_by_project

# Keys of a catalogue entry that do not change what is read of the data. Class names and groups are looked up by their
# values, so that one more column of their table changes nothing.
NOT_THE_DATA = {
    *("path", "source", "licence", "access", "samples", "size", "train_shards", "validation_shards"),
    *("classes", "groups", "folders", "templates"),
}


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
    return parsed_task(wildcards.task)


@cache
def parsed_task(address):
    try:
        task = TaskAddress.parse(address)
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
    return hashed(said_by_project(entry))


def shown_of_task(name):
    """Hash what the table of data sets shows: the licence of a real data set too, which changes nothing else."""
    return hashed(described_task(name), getattr(plugins.tasks()[name], "licence", ""))


def task_data(wildcards):
    task_entry(wildcards)
    return described_task(task_of(wildcards).name)


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


def require_data(jobs):
    """Stop before the first job if the data of one of them must be had by hand; the error says how."""
    checks = {"fetch_task": require_fetchable, "index_corpus": open_corpus}
    for rule, name in sorted((job.rule.name, *job.wildcards) for job in jobs if job.rule.name in checks):
        try:
            checks[rule](name)
        except UserError as error:
            raise WorkflowError(str(error))
