"""What the stages offer, learned from literals in their source files, without importing them (torch takes seconds).

A tuning method, a noise kind or an architecture is one file; its module-level literals are its declaration. Every
declaration is checked here, once, when it is first read. Data sets are entries of catalogues.
"""

from nml.plugins.catalogues import PATHS_FILE, corpora, place_of, read_tasks, task_readers, tasks
from nml.plugins.declarations import read_literals
from nml.plugins.files import (
    ARCHITECTURES,
    METHODS,
    NOISE_KINDS,
    PACKAGE,
    READERS,
    module_name,
    source_file,
)
from nml.plugins.method_spec import COMMON_PARAMETERS, FROZEN, HEADS, MethodSpec
from nml.plugins.methods import changes_encoder, read_methods, tuning_method, tuning_methods
from nml.plugins.noise import noise_kinds, task_noise_kinds
from nml.plugins.pretraining import (
    LIBRARIES,
    RECIPES,
    architecture_file,
    architecture_objective,
    architectures,
    shipped_recipe,
    shipped_recipes,
)

__all__ = [
    "ARCHITECTURES",
    "COMMON_PARAMETERS",
    "FROZEN",
    "HEADS",
    "LIBRARIES",
    "METHODS",
    "NOISE_KINDS",
    "PACKAGE",
    "PATHS_FILE",
    "READERS",
    "RECIPES",
    "MethodSpec",
    "architecture_file",
    "architecture_objective",
    "architectures",
    "changes_encoder",
    "corpora",
    "module_name",
    "noise_kinds",
    "place_of",
    "read_literals",
    "read_methods",
    "read_tasks",
    "shipped_recipe",
    "shipped_recipes",
    "source_file",
    "task_noise_kinds",
    "task_readers",
    "tasks",
    "tuning_method",
    "tuning_methods",
]
