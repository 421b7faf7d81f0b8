"""The kinds of noise, and what each declares."""

from functools import cache
from typing import Any

from nml.grid import CLEAN, RELEASED, UNTRAINED
from nml.plugins.declarations import lacks, read_declarations
from nml.plugins.files import NOISE_KINDS, PACKAGE


@cache
def noise_kinds() -> dict[str, dict[str, Any]]:
    """Return the noise kinds by name.

    `CORRUPTS` says what each changes, `labels` or `captions`, and `GROUPS` whether it needs groups of classes (if not
    there, False). `DEFINITION` is to be raised when a change of the file changes what is corrupted.
    """
    return read_declarations(PACKAGE / NOISE_KINDS, noise_kind_problem)


def task_noise_kinds() -> list[str]:
    """Return the noise kinds that the labels of any task can have: groups of classes are known of corpora alone."""
    return [name for name, own in noise_kinds().items() if own["CORRUPTS"] == "labels" and not own.get("GROUPS")]


def noise_kind_problem(name: str, literals: dict[str, Any]) -> str | None:
    """Say what is wrong with the declaration of a noise kind, or None."""
    taken = (CLEAN, UNTRAINED, RELEASED)
    if any(letter.isdigit() for letter in name) or name in taken:
        return f"a noise kind cannot be called '{name}': digits are for its percent; {', '.join(taken)} are taken"
    allowed = ("labels", "captions")
    if literals.get("CORRUPTS") not in allowed:
        return f"CORRUPTS is {literals.get('CORRUPTS')!r}; it needs a line CORRUPTS = one of {allowed}"
    return lacks(literals, "DEFINITION", int) or lacks(
        literals | {"GROUPS": literals.get("GROUPS", False)}, "GROUPS", bool
    )
