"""Getting the data sets of tasks: what their entries list is downloaded, checked and unpacked into their place."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from nml import plugins
from nml.archives import is_archive, unpack
from nml.artifacts import locked, write_json
from nml.downloads import Remote, download, require_room
from nml.errors import UserError
from nml.task_entries import Download, EmbeddedTask, TaskEntry
from nml.tasks.places import find_layout, folder_of, missing_files, other_layouts, require_fetchable

logger = logging.getLogger("nml")

RECORDS = ".fetched"
"""The folder in each place that records which of its files were fetched and unpacked."""


def fetch_task(name: str) -> dict[str, Any]:
    """Get the data of a task, unless it is here in any layout; return where it is, and which split it has.

    Archives stay where they were downloaded to, or where the user put them: in the place, beside what is in them.

    Raises
    ------
    UserError
        If the data must be had by hand, with what to do; or if a download fails, or does not hold what it should.
    """
    require_fetchable(name)
    entry = plugins.tasks()[name]
    if isinstance(entry, EmbeddedTask):
        return {"task": name, "folder": entry.path}
    if missing_files(name):
        _fetch(name, entry)
    layout = find_layout(entry)
    logger.info("%s is in %s", name, folder_of(entry))
    return {"task": name, "folder": str(folder_of(entry)), "variant": layout.variant, "licence": entry.licence}


def _fetch(name: str, entry: TaskEntry) -> None:
    downloads = _lacking(name, entry)
    _require_room(name, entry, downloads)
    # What was fetched once is only fetched again if something is missing after all: its user may have deleted it.
    for anew in (False, True):
        with _refusals_named(name, entry):
            fetched = [_get(entry, wanted, anew) for wanted in downloads]
        if not (lacking := missing_files(name)):
            return
        if all(fetched):
            break
    raise UserError(
        f"task '{name}': all its downloads are in {folder_of(entry)}, but {lacking[0]} is still missing. They hold "
        f"something else than the catalogue says; please report it.{_by_hand(entry)}"
    )


def _lacking(name: str, entry: TaskEntry) -> list[Download]:
    """Return the downloads whose place lacks something: another is complete, and may be the user's own."""
    missing = missing_files(name)
    return [d for d in entry.downloads if any(path.is_relative_to(folder_of(entry, d.place)) for path in missing)]


def _get(entry: TaskEntry, wanted: Download, anew: bool) -> bool:
    """Download and unpack one file, unless that was done before; tell whether it was done now."""
    remote, place = _remote(wanted), folder_of(entry, wanted.place)
    record = place / RECORDS / f"{remote.file}.json"
    with locked(record):
        if record.is_file() and not anew:
            return False
        path = download(remote, _folder(place, wanted, remote.file))
        if is_archive(remote.file):
            unpack(path, place / wanted.into, wanted.strip)
        write_json(record, {"file": remote.file, "checksum": remote.checksum})
    return True


def _folder(place: Path, wanted: Download, file: str) -> Path:
    """Return where a file is put: an archive at the top of the place, unless it lies where it is unpacked already."""
    inside = place / wanted.into
    return inside if not is_archive(file) or (inside / file).is_file() else place


def _remote(wanted: Download) -> Remote:
    checksums = [f"{kind}:{value}" for kind, value in (("sha256", wanted.sha256), ("md5", wanted.md5)) if value]
    file = PurePosixPath(urlsplit(wanted.urls[0]).path).name
    return Remote(file, tuple(wanted.urls), next(iter(checksums), None), wanted.bytes or None)


def _require_room(name: str, entry: TaskEntry, downloads: list[Download]) -> None:
    """Check, before anything is fetched, that there is room for what is not here yet, and for what is packed in it."""
    needed: dict[Path, int] = {}
    for wanted in downloads:
        remote, place = _remote(wanted), folder_of(entry, wanted.place)
        if (place / RECORDS / f"{remote.file}.json").is_file():
            continue
        absent = not (_folder(place, wanted, remote.file) / remote.file).is_file()
        needed[place] = needed.get(place, 0) + wanted.bytes * (absent + is_archive(remote.file))
    for place, size in needed.items():
        place.mkdir(parents=True, exist_ok=True)
        require_room(place, size, f"task '{name}'")


@contextmanager
def _refusals_named(name: str, entry: TaskEntry) -> Iterator[None]:
    """Say of which task it is, and what else can be done, that a download fails or its place cannot be written to."""
    try:
        yield
    except UserError as error:
        raise UserError(f"task '{name}' ({entry.title}): {error}{_by_hand(entry)}") from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UserError(
            f"task '{name}': {error.filename} cannot be written to. Complete the data set there, or take its line out "
            f"of {plugins.PATHS_FILE}, then run again.{_by_hand(entry)}"
        ) from error


def _by_hand(entry: TaskEntry) -> str:
    access = f"\nBy hand: {entry.access}" if entry.access else ""
    return access + other_layouts(entry)
