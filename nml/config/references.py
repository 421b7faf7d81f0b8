"""Checks of one key against another, and of names against what the package offers."""

from collections.abc import Iterator

from nml import plugins
from nml.config.problems import Problem, one_of
from nml.config.recipes import Recipe
from nml.config.schema import Config, Method, Pretraining

# What each objective learns from, so what a noise has to change to matter to it.
SUPERVISION = {"supervised": "labels", "contrastive": "captions"}


def find_problems(config: Config) -> list[Problem]:
    """Return every name that does not exist and every pair of values that do not go together."""
    return [
        *(p for index, family in enumerate(config.pretraining) for p in _pretraining(config, index, family)),
        *(p for name, recipe in config.recipes.items() for p in _recipe(name, recipe)),
        *_tasks(config),
        *(p for name, method in config.methods.items() for p in _method(name, method)),
    ]


def _pretraining(config: Config, index: int, family: Pretraining) -> Iterator[Problem]:
    here = ("pretraining", index)
    if family.corpus not in plugins.corpora():
        yield one_of((*here, "corpus"), "the corpus", family.corpus, plugins.corpora())
    if family.recipe not in config.recipes:
        yield one_of((*here, "recipe"), "the recipe", family.recipe, config.recipes)
        return
    learns_from = SUPERVISION[config.recipes[family.recipe].objective]
    fitting = [kind for kind, declared in plugins.noise_kinds().items() if declared["CORRUPTS"] == learns_from]
    for kind in family.noise:
        if kind not in plugins.noise_kinds():
            yield one_of((*here, "noise", kind), "the noise kind", kind, plugins.noise_kinds())
        elif kind not in fitting:
            yield Problem(
                (*here, "noise", kind),
                f"'{kind}' does not change the {learns_from} that recipe '{family.recipe}' learns from.",
                ", ".join(fitting),
                fitting[0],
            )


def _recipe(name: str, recipe: Recipe) -> Iterator[Problem]:
    architectures = plugins.architectures()
    fitting = [key for key, declared in architectures.items() if declared["OBJECTIVE"] == recipe.objective]
    if recipe.architecture not in fitting:
        here = ("recipes", name, "architecture")
        yield one_of(here, f"for a {recipe.objective} recipe the architecture", recipe.architecture, fitting)


def _tasks(config: Config) -> Iterator[Problem]:
    for index, task in enumerate(config.tasks):
        if task not in plugins.tasks():
            yield one_of(("tasks", index), "the task", task, plugins.tasks())
        elif task in config.tasks[:index]:
            yield Problem(("tasks", index), f"the task '{task}' is listed twice.", "each task once", f"[{task}]")


def _method(name: str, method: Method) -> Iterator[Problem]:
    here = ("methods", name)
    declared = plugins.tuning_methods().get(name)
    if declared is None:
        yield one_of(here, "the method", name, plugins.tuning_methods())
        return
    if declared["TRAINED"] and method.learning_rate is None:
        yield Problem((*here, "learning_rate"), "is missing.", "a number above 0; there is no safe default", "0.001")
    for key, value in (method.model_extra or {}).items():
        if key not in declared["PARAMETERS"]:
            keys = [*type(method).model_fields, *declared["PARAMETERS"]]
            yield one_of((*here, key), "the key", key, keys)
        elif not isinstance(value, int | float) or isinstance(value, bool):
            default = declared["PARAMETERS"][key]
            hint = " (YAML takes 1e-3 for text; write 0.001 or 1.0e-3)" if isinstance(value, str) else ""
            yield Problem((*here, key), f"{value!r} was given.", f"a number{hint}", str(default))
