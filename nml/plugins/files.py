"""Where the files of plug-ins lie, and how they are named."""

from pathlib import Path, PurePosixPath

PACKAGE = Path(__file__).parents[1]
METHODS, NOISE_KINDS, ARCHITECTURES = "tuning/methods", "noise/kinds", "pretraining/architectures"
READERS = "tasks/readers"
"""The folder of each stage's plug-ins, below the package."""


def source_file(folder: str, name: str) -> str:
    """Return a plug-in's file, relative to the root of the project: the dashes of its name are underscores there.

    `source_file("tuning/methods", "lora-nmtune")` is `nml/tuning/methods/lora_nmtune.py`.
    """
    return str(PurePosixPath(PACKAGE.name, folder, f"{name.replace('-', '_')}.py"))


def module_name(folder: str, name: str) -> str:
    """Return the dotted name to import a plug-in by, such as `nml.tuning.methods.lora_nmtune`."""
    return source_file(folder, name).removesuffix(".py").replace("/", ".")
