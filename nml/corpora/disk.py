"""A full disk, said in words that help."""

from nml.artifacts import full_disk_named

__all__ = ["full_disk_named"]
