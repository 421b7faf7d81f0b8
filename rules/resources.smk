# What jobs ask a scheduler for: the numbers of resources.yaml, by what a job works on.
import math
import re

import yaml

RESOURCES = yaml.safe_load(Path(workflow.basedir, "rules/resources.yaml").read_text(encoding="utf-8"))
# Of a data set that comes with the project; all have fewer.
EMBEDDED_IMAGES = 6000


def asks(rule, resource, count=lambda wildcards: 0):
    """Return what a rule asks for of `mem_mb` or `runtime`, as Snakemake calls it; `count` says how much work it is."""
    entry, most = RESOURCES["rules"][rule][resource], RESOURCES["most"][resource]

    def amount(wildcards, attempt):
        work = entry["base"] + entry.get("per_thousand", 0) * count(wildcards) / 1000
        times = min(attempt, entry.get("times", math.inf))
        return math.ceil(min(min(work, entry.get("at_most", math.inf)) * times, most))

    return amount


@cache
def samples_of(corpus):
    """Return the training samples of a corpus, as its catalogue entry says; 0 where it does not."""
    stated = re.search(r"train (?:at most )?([\d,]+)", corpus_entry(corpus).get("samples", ""))
    return int(stated[1].replace(",", "")) if stated else 0


def corpus_samples(wildcards):
    return samples_of(wildcards.corpus)


def trained_samples(wildcards):
    """Return how many samples a pre-training sees, each once an epoch."""
    return samples_of(wildcards.corpus) * lookup(CONFIG.recipes, wildcards.recipe, "recipe in the configuration").epochs


@cache
def images_of(task):
    """Return the images of a task's parts together, in its largest layout."""
    entry = plugins.tasks()[task]
    if isinstance(entry, EmbeddedTask):
        return EMBEDDED_IMAGES
    return max(sum(part.samples for part in layout.parts.values()) for layout in entry.layouts.values())


def task_images(wildcards):
    task_entry(wildcards)
    return images_of(task_of(wildcards).name)


def features_to_hold(wildcards):
    """Return the images of a task, and a fifth of them for each further view that a method draws from.

    One view of an image is 8 of the 40 KB that a job takes for it: 2,048 dimensions.
    """
    return task_images(wildcards) * (1 + (most_views() - 1) / 5)


@cache
def most_views():
    """Return how many views of a training image the features hold."""
    return max((head_method(name)["views"] for name in HEAD_METHODS), default=1)


def tuned_images(wildcards):
    """Return how many images the tuning of an encoder sees, each once an epoch and seed."""
    method = lookup(CONFIG.methods, wildcards.method, "method in the configuration")
    return task_images(wildcards) * method.epochs * CONFIG.seeds


def cell_count(wildcards):
    return len(CELLS)
