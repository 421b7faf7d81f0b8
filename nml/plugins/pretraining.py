"""What encoders are pre-trained by: architectures, of files and of libraries, and the shipped recipes."""

from functools import cache
from typing import Any

import yaml

from nml.plugins.declarations import lacks, read_declarations
from nml.plugins.files import ARCHITECTURES, PACKAGE, source_file

RECIPES = "pretraining/recipes"
"""The folder of the shipped recipes, one YAML file each, below the package."""
LIBRARIES = {"timm": "supervised", "torchvision": "supervised", "open_clip": "contrastive"}
"""Libraries whose models are architectures by the name `<library>/<model>`, and the objective that they serve."""


@cache
def architectures() -> dict[str, dict[str, Any]]:
    """Return the architectures by name; `OBJECTIVE` says which recipes each serves."""
    return read_declarations(PACKAGE / ARCHITECTURES, architecture_problem)


def architecture_objective(name: str) -> str | None:
    """Return the objective that an architecture serves, going by its file or library; None if there is neither."""
    library, slash, _ = name.partition("/")
    return LIBRARIES.get(library) if slash else architectures().get(name, {}).get("OBJECTIVE")


def architecture_file(name: str) -> str:
    """Return the file that builds an architecture, relative to the root: its own, or that of its library."""
    library, slash, _ = name.partition("/")
    return source_file(ARCHITECTURES, f"_{library}" if slash else name)


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in (PACKAGE / RECIPES).glob("*.yaml"))


@cache
def shipped_recipe(name: str) -> dict[str, Any]:
    """Return the values of a shipped recipe, as a configuration would give them."""
    return yaml.safe_load((PACKAGE / RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))


def architecture_problem(name: str, literals: dict[str, Any]) -> str | None:
    """Say what is wrong with the declaration of an architecture, or None."""
    allowed = ("supervised", "contrastive")
    if literals.get("OBJECTIVE") not in allowed:
        return f"OBJECTIVE is {literals.get('OBJECTIVE')!r}; it needs a line OBJECTIVE = one of {allowed}"
    return lacks(literals, "IMAGE_SIZE", int)
