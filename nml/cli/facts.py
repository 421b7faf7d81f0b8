"""What jobs have recorded in JSON files."""

from pathlib import Path
from typing import Any

from nml.artifacts import read_json
from nml.errors import UserError


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a job says; raise `UserError` naming it if it is damaged."""
    try:
        facts = read_json(path)
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it, and what it describes, and rerun.") from None
    if not isinstance(facts, dict):
        raise UserError(f"{path} is no record of a job. Delete it, and what it describes, and rerun.")
    return facts
