"""What is wrong with a configuration, in words that say where, what is allowed, and what would be right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from nml.config.schema import Config
from nml.errors import nearest

Location = tuple[int | str, ...]

# Steps of pydantic's locations that name no key of the configuration.
_NO_KEYS = ("[key]", "one", "several")


@dataclass(frozen=True)
class Problem:
    """One wrong value: its key path, what was given, what is allowed, and a right example."""

    location: Location
    given: str
    allowed: str
    example: str = ""

    def __str__(self) -> str:
        key = ".".join(map(str, self.location)) or "(the whole file)"
        example = f"\n    For example: {self.example}" if self.example else ""
        return f"  {key}: {self.given}\n    Allowed: {self.allowed}{example}"


def one_of(location: Location, what: str, value: str, choices: Iterable[str]) -> Problem:
    """Return the problem that a name is not among the choices, with the nearest of them as the example."""
    choices = sorted(choices)
    meant = nearest(value, choices)
    hint = f" Did you mean '{meant}'?" if meant else ""
    return mismatch(location, f"{what} '{value}' does not exist.{hint}", choices, meant)


def mismatch(location: Location, given: str, choices: Sequence[str], example: str | None = None) -> Problem:
    """Return the problem that none of the choices was given; without an example, the first of them is it."""
    return Problem(location, given, ", ".join(choices) or "(nothing)", example or next(iter(choices), ""))


def explain(error: ValidationError) -> list[Problem]:
    """Return pydantic's findings as problems."""
    return [_problem(finding) for finding in error.errors()]


def _problem(finding: Any) -> Problem:
    location, kind = tuple(step for step in finding["loc"] if step not in _NO_KEYS), finding["type"]
    if kind == "extra_forbidden":
        return one_of(location, "the key", str(location[-1]), _keys_at(location[:-1]))
    given = "is missing." if kind == "missing" else f"{finding['input']!r} was given."
    field = _field_at(location)
    examples = (field.examples or []) if field else []
    description = f" ({field.description})" if field and field.description else ""
    allowed = finding["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if kind == "missing":
        allowed = "a value for this key"
    return Problem(location, given, allowed + description, str(examples[0]) if examples else "")


def _keys_at(location: Location) -> list[str]:
    model = _type_at(location)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ["(nothing)"]


def _field_at(location: Location) -> FieldInfo | None:
    """Return the field that a location leads to; inside a list or mapping, the nearest field above that has one."""
    for end in range(len(location), 0, -1):
        model = _type_at(location[: end - 1])
        if isinstance(model, type) and issubclass(model, BaseModel) and location[end - 1] in model.model_fields:
            return model.model_fields[str(location[end - 1])]
    return None


def _type_at(location: Location) -> Any:
    """Return the annotated type at a location, by walking down from the root model."""
    here: Any = Config
    for step in location:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(step))
            here = _required(field.annotation) if field else None
        elif get_origin(here) in (dict, list, tuple):
            here = get_args(here)[-1]
    return here


def _required(annotation: Any) -> Any:
    """Return what a type is when it is not None."""
    if get_origin(annotation) is UnionType:
        return next(part for part in get_args(annotation) if part is not NoneType)
    return annotation
