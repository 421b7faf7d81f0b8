"""Recipes that build on a shipped one, made whole."""

from typing import Any

from nml import plugins
from nml.config.problems import Problem, one_of


def with_bases(values: Any) -> tuple[Any, list[Problem]]:
    """Return values as read from YAML with every recipe whole, and the bases that do not exist.

    A recipe with `base` gets that shipped recipe's keys below its own. A shipped recipe that is named under
    `pretraining` and not listed under `recipes` is added there. What has another form than a configuration's is left
    for its model to refuse.
    """
    if not _has_form(values):
        return values, []
    recipes = {name: {"base": name} for name in _shipped_and_named(values)} | values.get("recipes", {})
    based = {name: recipe for name, recipe in recipes.items() if _base_of(recipe) is not None}
    problems = [
        one_of(("recipes", name, "base"), "the shipped recipe", str(recipe["base"]), plugins.shipped_recipes())
        for name, recipe in based.items()
        if recipe["base"] not in plugins.shipped_recipes()
    ]
    if not problems:
        recipes |= {name: _whole(recipe) for name, recipe in based.items()}
    return values | ({"recipes": recipes} if recipes else {}), problems


def _has_form(values: Any) -> bool:
    forms = {"recipes": dict, "pretraining": list}
    return isinstance(values, dict) and all(isinstance(values.get(key, form()), form) for key, form in forms.items())


def _shipped_and_named(values: dict[str, Any]) -> list[str]:
    families = values.get("pretraining", [])
    named = [family.get("recipe") for family in families if isinstance(family, dict)]
    return [name for name in plugins.shipped_recipes() if name in named]


def _base_of(recipe: Any) -> Any:
    return recipe.get("base") if isinstance(recipe, dict) else None


def _whole(recipe: dict[Any, Any]) -> dict[Any, Any]:
    own = {key: value for key, value in recipe.items() if key != "base"}
    return _laid_over(plugins.shipped_recipe(recipe["base"]), own)


def _laid_over(below: dict[Any, Any], above: dict[Any, Any]) -> dict[Any, Any]:
    """Return the keys of both, those of `above` first; blocks in both are laid over each other likewise."""
    both = {
        key: _laid_over(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return below | both
