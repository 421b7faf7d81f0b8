"""Checks of one key against another, and of names against what the package offers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nml import plugins
from nml.config.problems import Location, Problem, mismatch, one_of
from nml.config.recipe_checks import recipe_problems
from nml.config.schema import Config, Method, Pretraining
from nml.errors import UserError
from nml.grid import TaskAddress

# What each objective learns from, so what a noise has to change to matter to it.
SUPERVISION = {"supervised": "labels", "contrastive": "captions"}


def find_problems(config: Config) -> list[Problem]:
    """Return every name that does not exist and every pair of values that do not go together."""
    return [
        *(p for index, family in enumerate(config.pretraining) for p in _pretraining(config, index, family)),
        *(p for name, recipe in config.recipes.items() for p in recipe_problems(("recipes", name), recipe)),
        *_tasks(config),
        *(p for name, method in config.methods.items() for p in _method(name, method)),
    ]


def _pretraining(config: Config, index: int, family: Pretraining) -> Iterator[Problem]:
    here = ("pretraining", index)
    corpus = plugins.corpora().get(family.corpus)
    if corpus is None:
        yield one_of((*here, "corpus"), "the corpus", family.corpus, plugins.corpora())
    if family.recipe not in config.recipes:
        known = {*config.recipes, *plugins.shipped_recipes()}
        yield one_of((*here, "recipe"), "the recipe", family.recipe, known)
        return
    learns_from = SUPERVISION[config.recipes[family.recipe].objective]
    if corpus and (lack := _lack(corpus, learns_from)):
        given = f"the corpus '{family.corpus}' has no {lack}, and recipe '{family.recipe}' needs them."
        suited = [name for name, entry in plugins.corpora().items() if not _lack(entry, learns_from)]
        yield mismatch((*here, "corpus"), given, suited)
    fitting = [kind for kind, declared in plugins.noise_kinds().items() if declared["CORRUPTS"] == learns_from]
    for kind in family.noise:
        if kind not in plugins.noise_kinds():
            yield one_of((*here, "noise", kind), "the noise kind", kind, plugins.noise_kinds())
        elif kind not in fitting:
            given = f"'{kind}' does not change the {learns_from} that recipe '{family.recipe}' learns from."
            yield mismatch((*here, "noise", kind), given, fitting)
        elif not _is_possible(kind, family.corpus):
            given = f"the corpus '{family.corpus}' has no groups of classes for '{kind}' in its catalogue entry."
            yield mismatch((*here, "noise", kind), given, [k for k in fitting if _is_possible(k, family.corpus)])


def _lack(corpus: dict[str, Any], learns_from: str) -> str | None:
    """Return what a corpus would need for an encoder to be trained and validated on it."""
    if learns_from not in corpus["has"]:
        return learns_from
    # Image-text encoders too are validated by their accuracy on labelled images.
    return None if "validation" in corpus else "labelled validation images"


def _groups_of(corpus: str) -> dict[str, Any]:
    return plugins.corpora().get(corpus, {}).get("groups", {})


def _is_possible(kind: str, corpus: str) -> bool:
    return not plugins.noise_kinds()[kind].get("GROUPS") or kind in _groups_of(corpus)


def _tasks(config: Config) -> Iterator[Problem]:
    for index, task in enumerate(config.tasks):
        here = ("tasks", index)
        try:
            address = TaskAddress.parse(task)
        except UserError as error:
            yield Problem(here, str(error), "tasks of the catalogue", "cifar10+symmetric-20")
            continue
        if address.name not in plugins.tasks():
            yield one_of(here, "the task", address.name, plugins.tasks())
        elif task in config.tasks[:index]:
            yield Problem(here, f"the task '{task}' is listed twice.", "each task once", f"[{task}]")
        elif address.fraction < 100:
            given = f"'{task}' is a part of a training split, and parts are rows of the task's own cell."
            yield Problem(here, given, "tasks with the whole of it", str(replace(address, fraction=100)))
        elif address.noise.percent:
            yield from _task_noise(here, address.noise.kind)


def _task_noise(here: Location, kind: str) -> Iterator[Problem]:
    kinds = plugins.noise_kinds()
    if kind not in kinds:
        yield one_of(here, "the noise kind", kind, plugins.task_noise_kinds())
    elif kind not in plugins.task_noise_kinds():
        yield mismatch(here, f"'{kind}' cannot be done to the labels of a task.", plugins.task_noise_kinds())


def _method(name: str, method: Method) -> Iterator[Problem]:
    here = ("methods", name)
    spec = plugins.tuning_methods().get(name)
    if spec is None:
        yield one_of(here, "the method", name, plugins.tuning_methods())
        return
    if not spec.trained:
        for key in sorted(set(plugins.COMMON_PARAMETERS) & method.model_fields_set):
            yield mismatch((*here, key), f"'{name}' is not trained, so it has no {key}.", list(spec.parameters))
    elif method.learning_rate is None:
        yield Problem((*here, "learning_rate"), "is missing.", "a number above 0; there is no safe default", "0.001")
    for key, value in (method.model_extra or {}).items():
        yield from _own_parameter((*here, key), spec, key, value)


def _own_parameter(here: Location, spec: plugins.MethodSpec, key: str, value: Any) -> Iterator[Problem]:
    if key not in spec.parameters:
        common = plugins.COMMON_PARAMETERS if spec.trained else ()
        yield one_of(here, "the key", key, [*common, *spec.parameters])
    elif not spec.accepts(key, value):
        hint = " (YAML takes 1e-3 for text; write 0.001 or 1.0e-3)" if isinstance(value, str) else ""
        yield Problem(here, f"{value!r} was given.", spec.allowed(key) + hint, str(spec.parameters[key]))
