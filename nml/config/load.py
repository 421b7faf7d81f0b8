"""From YAML to a checked configuration, or to an error that a user can act on."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nml.config.bases import with_bases
from nml.config.problems import Problem, explain
from nml.config.references import find_problems
from nml.config.schema import Config
from nml.errors import UserError


def load_config(path: str | Path) -> Config:
    """Read and check a YAML configuration.

    Raises
    ------
    UserError
        If the file is missing, is not YAML, or holds a wrong value; every wrong value is named.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the configuration {path} does not exist. See config.yaml and presets/.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    return check_config(values, source=str(path))


def check_config(values: Any, source: str = "the configuration") -> Config:
    """Check values as read from YAML; `source` names them in the error.

    Raises
    ------
    UserError
        If any value is wrong; every wrong value is named with what is allowed.
    """
    values, problems = with_bases(values)
    if problems:
        raise _refusal(problems, source)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise _refusal(explain(error), source) from None
    if problems := find_problems(config):
        raise _refusal(problems, source)
    return config


def _refusal(problems: list[Problem], source: str) -> UserError:
    count = "1 value" if len(problems) == 1 else f"{len(problems)} values"
    listing = "\n".join(map(str, problems))
    return UserError(f"{count} in {source} must be changed:\n{listing}\n  All keys are described in docs/config.md.")
