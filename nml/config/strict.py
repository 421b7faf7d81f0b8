"""The base of the configuration's blocks."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A block of the configuration: unknown keys, infinity and NaN are refused; docstrings become the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
