"""Outputs that are there already and still right: a job that makes several makes only those anew that changed.

Snakemake deletes all outputs of a job before it runs, also where one method more is all that there is to do. So what is
made is kept a second time, in `results/kept/`, with the name of all that it was made from. Where the disk can, both are
one file (a hard link). The folder may be deleted at any time: then all is made anew.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nml.artifacts import atomic_path, read_json, sha256_file, write_json
from nml.jobs import shared_path

RESULTS, KEPT = Path("results"), Path("results/kept")


def restore(files: Sequence[Path], made_from: Mapping[str, Any]) -> bool:
    """Put back outputs, byte for byte, if they were kept, made from the same, and are whole; tell whether they were.

    Parameters
    ----------
    files : sequence of Path
        Outputs that are made together, below `results/`.
    made_from : mapping
        All that they depend on, as JSON has it.
    """
    copies = [_copy_of(file) for file in files]
    record = _read(_record_of(copies[0]))
    if record.get("made_from") != made_from or not all(copy.is_file() for copy in copies):
        return False
    if record.get("sha256") != [sha256_file(copy) for copy in copies]:
        return False
    for copy, file in zip(copies, files, strict=True):
        _link(copy, file)
    return True


def keep(files: Sequence[Path], made_from: Mapping[str, Any]) -> None:
    """Keep outputs for `restore`; parameters as there. The record comes last, and makes them valid."""
    copies = [_copy_of(file) for file in files]
    _record_of(copies[0]).unlink(missing_ok=True)
    for copy, file in zip(copies, files, strict=True):
        _link(file, copy)
    write_json(_record_of(copies[0]), {"made_from": made_from, "sha256": [sha256_file(file) for file in files]})


def _read(record: Path) -> dict[str, Any]:
    """Return a record; an empty one where there is none, or one that is damaged: it makes nothing valid."""
    try:
        found = read_json(record)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _copy_of(file: Path) -> Path:
    return KEPT / shared_path(file).relative_to(RESULTS)


def _record_of(copy: Path) -> Path:
    return copy.with_suffix(".made-from.json")


def _link(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            # Not every file system has hard links.
            shutil.copyfile(source, temporary)
