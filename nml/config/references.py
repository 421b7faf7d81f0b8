"""Checks of one key against another, and of names against what the package offers."""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

from nml import plugins
from nml.config.problems import Location, Problem, mismatch, one_of
from nml.config.recipe_checks import recipe_problems
from nml.config.schema import Config, Method, Pretraining, Watch
from nml.config.zoo_checks import zoo_problems
from nml.errors import UserError
from nml.grid import TaskAddress

_PATH = re.compile(r"[\w ./+~-]+")
# What each objective learns from, so what a noise has to change to matter to it.
SUPERVISION = {"supervised": "labels", "contrastive": "captions"}


def find_problems(config: Config) -> list[Problem]:
    """Return every name that does not exist and every pair of values that do not go together."""
    return [
        *_encoders(config),
        *(p for index, family in enumerate(config.pretraining) for p in _pretraining(config, index, family)),
        *(p for name, recipe in config.recipes.items() for p in recipe_problems(("recipes", name), recipe)),
        *(p for name, model in config.zoo.items() for p in zoo_problems(("zoo", name), model)),
        *_tasks(config),
        *_methods(config),
        *_watch(config),
    ]


def _encoders(config: Config) -> Iterator[Problem]:
    if not config.pretraining and not config.zoo:
        example = "[{corpus: emoji, recipe: resnet-mini}]"
        yield Problem(("pretraining",), "no encoder is asked for.", "one or more entries here, or under zoo", example)


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
    if corpus and learns_from not in corpus["has"]:
        given = f"the corpus '{family.corpus}' has no {learns_from}, and recipe '{family.recipe}' needs them."
        suited = [name for name, entry in plugins.corpora().items() if learns_from in entry["has"]]
        yield mismatch((*here, "corpus"), given, suited)
    elif corpus:
        yield from _validation(config, (*here, "validate_on"), family, learns_from)
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


def _validation(config: Config, here: Location, family: Pretraining, learns_from: str) -> Iterator[Problem]:
    """Yield what keeps a family from being validated; image-text encoders too are, by zero-shot classification."""
    name = family.validate_on or family.corpus
    suited = [other for other in plugins.corpora() if _can_validate(other, family.corpus, learns_from)]
    if name not in plugins.corpora():
        yield one_of(here, "the corpus", name, suited)
    elif "validation" not in plugins.corpora()[name]:
        yield mismatch(here, f"the corpus '{name}' has no labelled validation images; name one that has.", suited)
    elif name not in suited:
        lack = "other classes than those that are learned" if learns_from == "labels" else "no templates for prompts"
        yield mismatch(here, f"the corpus '{name}' has {lack}.", suited)
    same = [other for other in config.pretraining if (other.corpus, other.recipe) == (family.corpus, family.recipe)]
    if any(other.validate_on != family.validate_on for other in same):
        given = f"'{name}', and another entry of {family.corpus} and {family.recipe} says otherwise."
        yield Problem(here, given, "the same in all entries of a corpus and a recipe, which share their encoders", name)


def _can_validate(name: str, corpus: str, learns_from: str) -> bool:
    entry, own = plugins.corpora()[name], plugins.corpora()[corpus]
    if "validation" not in entry:
        return False
    if learns_from == "captions":
        return bool(entry.get("templates"))
    # A list of classes below the project's root is the same one wherever the corpus lies.
    return name == corpus or (entry["classes"] == own.get("classes") and "/" in entry["classes"])


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


def _methods(config: Config) -> Iterator[Problem]:
    for name, method in config.methods.items():
        yield from _method(("methods", name), method.method or name, method)
    if len(set(config.fractions)) < len(config.fractions):
        yield Problem(("fractions",), f"{config.fractions} was given.", "each percent once", "[10, 100]")


def _method(here: Location, method_name: str, method: Method) -> Iterator[Problem]:
    if method_name.endswith(".py") and not _PATH.fullmatch(method_name):
        given, allowed = f"'{method_name}' was given.", "a path of letters, digits, spaces and ._/+~-"
        yield Problem((*here, "method"), given, allowed, "experiments/mine.py")
        return
    try:
        spec = plugins.tuning_method(method_name)
    except UserError as error:
        known = plugins.tuning_methods()
        if method_name.endswith(".py"):
            yield Problem((*here, "method"), str(error), "a file with a tuning method", next(iter(known)))
        else:
            yield one_of((*here, "method") if method.method else here, "the method", method_name, known)
        return
    if not spec.trained:
        for key in sorted({*plugins.COMMON_PARAMETERS, "views"} & method.model_fields_set):
            yield mismatch((*here, key), f"'{method_name}' is not trained, so it has no {key}.", list(spec.parameters))
    elif method.learning_rate is None:
        yield Problem((*here, "learning_rate"), "is missing.", "a number above 0; there is no safe default", "0.001")
    if spec.encoder != plugins.FROZEN and method.views is not None:
        yield mismatch(
            (*here, "views"), f"'{method_name}' changes the images anew in every step.", list(spec.parameters)
        )
    searched = [key for key, value in method if isinstance(value, list)]
    if searched and spec.encoder != plugins.FROZEN:
        given = f"{getattr(method, searched[0])!r} was given, and '{method_name}' trains an encoder for each value."
        yield Problem((*here, searched[0]), given, "one value; other values are entries of their own", "0.001")
        return
    for key, value in (method.model_extra or {}).items():
        yield from _own_parameter((*here, key), spec, key, value)


def _watch(config: Config) -> Iterator[Problem]:
    installed = [name for name in get_args(Watch) if importlib.util.find_spec(name)]
    for index, package in enumerate(config.watch):
        if package not in installed:
            given = f"'{package}' is asked for, and its package is not installed (`pip install {package}` does it)."
            yield mismatch(("watch", index), given, installed)


def _own_parameter(here: Location, spec: plugins.MethodSpec, key: str, value: Any) -> Iterator[Problem]:
    if key not in spec.parameters:
        common = plugins.COMMON_PARAMETERS if spec.trained else ()
        yield one_of(here, "the key", key, [*common, *spec.parameters])
        return
    candidates = value if isinstance(value, list) and value else [value]
    if not all(spec.accepts(key, candidate) for candidate in candidates):
        texts = key not in spec.choices and any(isinstance(candidate, str) for candidate in candidates)
        hint = " (YAML takes 1e-3 for text; write 0.001 or 1.0e-3)" if texts else ""
        yield Problem(here, f"{value!r} was given.", spec.allowed(key) + hint, str(spec.parameters[key]))
