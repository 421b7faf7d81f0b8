"""Files over HTTP: from the first mirror that has them, resumed where they were cut, named when they are checked.

Next to `archive.zip` there may lie `archive.zip.part`, what has come so far, with `archive.zip.part.etag`, the version
it is of. `archive.zip.bad` was there under the right name with a wrong checksum, and `archive.zip.part.bad` is what a
mirror gave instead of the file. Nothing that a user put there is ever deleted.

What has no checksum comes over https alone, since on the way anybody could put another file in its place.
"""

import hashlib
import ipaddress
import logging
import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from rich.filesize import decimal

from nml.artifacts import full_disk_named, locked
from nml.errors import UserError
from nml.progress import Progress

logger = logging.getLogger("nml")

TOKENS = {"huggingface.co": "HF_TOKEN"}
"""For each host that may ask for a token, the environment variable that has it; sent to it alone, and encrypted."""
TRIES = 4
"""Times that one mirror is asked before the next one is."""
PAUSE = 2.0
"""Seconds before the second try; doubled before each further one."""
_TIMEOUT = (20, 60)
_CHUNK = 1 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Remote:
    """A file that is had over HTTP.

    Attributes
    ----------
    file : str
        The name it gets.
    urls : tuple of str
        Where it is had, the best first.
    checksum : str, optional
        `md5:<hex>` or `sha256:<hex>`.
    size : int, optional
        Bytes.
    """

    file: str
    urls: tuple[str, ...]
    checksum: str | None = None
    size: int | None = None


class _Refused(Exception):
    """A mirror that will not give the file, however often it is asked."""


class _Cut(Exception):
    """A transfer that broke off, or did not begin; another try may go on."""


def download(remote: Remote, folder: Path) -> Path:
    """Return the file in `folder`, fetched unless it is there already.

    What is there under that name is used if its checksum is right; where there is none to compare it with, with a
    warning. If it is wrong, it is kept as `<name>.bad`, and the file is fetched. Several processes may ask for one
    file: the first fetches it, the others wait for it.

    Raises
    ------
    UserError
        If no mirror gives the file, what they give has another checksum, or the disk has no room for it.
    """
    target = folder / remote.file
    with locked(target):
        if target.is_file():
            if not (problem := _wrong_with(target, remote)):
                _say_unchecked(remote, f"{target} is used")
                return target
            logger.warning("%s is kept as %s, because it %s", target, _move_aside(target), problem)
        failures = []
        for url in remote.urls:
            try:
                _fetch(remote, url, target)
                return target
            except _Refused as refusal:
                failures.append(f"  {_shown(url)}: {refusal}")
        raise UserError(_no_mirror(remote, target, failures))


def require_room(folder: Path, needed: int, what: str) -> None:
    """Check that the disk of a folder has room for so many bytes; raise `UserError` if it has not."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{what} needs {decimal(needed)} on the disk of {folder}, which has {decimal(free)} left. Make room, or "
            "let the folder be a link to a larger disk; then run again."
        )


def _fetch(remote: Remote, url: str, target: Path) -> None:
    """Fetch from one mirror, going on from what has come; the whole, checked file gets its name."""
    part = _beside(target, ".part")
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = _resumable(remote, part)
        try:
            _transfer(remote, url, part)
        except _Cut as cut:
            logger.warning("%s: %s (try %d of %d)", _shown(url), cut, attempt + 1, TRIES)
            reason = str(cut)
            continue
        reason = _wrong_with(part, remote)
        if reason is None:
            os.replace(part, target)
            _version_file(part).unlink(missing_ok=True)
            _say_unchecked(remote, f"{remote.file} came from {_shown(url)}")
            return
        if not resumed:
            bad = _beside(part, ".bad")
            os.replace(part, bad)
            raise _Refused(f"what it gives {reason}; it is kept as {bad}")
        # The two pieces may be of different files: another try has it in one piece.
        logger.warning("%s: put together, the file %s; it is fetched anew", _shown(url), reason)
        part.unlink()
    raise _Refused(f"{reason}, {TRIES} times")


def _transfer(remote: Remote, url: str, part: Path) -> None:
    """Append to `part` what it lacks, or write it anew where the server will not go on."""
    have = part.stat().st_size if _resumable(remote, part) else 0
    with _answer(remote, url, _headers(remote, part, have)) as response:
        if response.status_code == 416:
            # The server has no more than this: the checksum tells whether it is all.
            _require_whole(response, part, have)
            return
        if response.status_code == 206 and not _starts_at(response, have):
            raise _Refused("it sends another piece than it was asked for")
        if response.status_code == 200:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        require_room(part.parent, (total or remote.size or 0) - have, remote.file)
        _keep_version(response, part)
        with full_disk_named(part.parent, f"What has come is kept as {part}."):
            _write(response, part, have, total or remote.size, remote.file)


def _answer(remote: Remote, url: str, headers: dict[str, str]) -> requests.Response:
    _require_safe(remote, url)
    hooks = {"response": partial(_require_safe_redirect, remote)}
    try:
        response = requests.get(url, headers=headers, auth=_token_of(url), stream=True, timeout=_TIMEOUT, hooks=hooks)
    except requests.RequestException as error:
        # Never the error's own text: it may hold the signed address that the server sent us on to.
        raise _Cut(_in_words(error)) from None
    status = response.status_code
    if status in (200, 206, 416):
        return response
    response.close()
    if status in _PASSING:
        raise _Cut(f"HTTP {status}")
    raise _Refused(f"HTTP {status}{_hint(url, status)}")


def _require_safe(remote: Remote, url: str) -> None:
    if not (remote.checksum or _is_private(url)):
        raise _Refused("its address is not encrypted (http), and there is no checksum to know the file by")


def _require_safe_redirect(remote: Remote, response: requests.Response, **_: Any) -> None:
    if response.is_redirect:
        _require_safe(remote, urljoin(response.url, response.headers["Location"]))


def _is_private(url: str) -> bool:
    """Tell whether nobody between here and the host can read or change what comes."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(url: str) -> str:
    """Return an address without what may be secret: a user, a password, a signature."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _say_unchecked(remote: Remote, what: str) -> None:
    if not remote.checksum:
        size = "its size is right" if remote.size else "nor a size"
        logger.warning("%s; there is no checksum to compare it with (%s)", what, size)


def _write(response: requests.Response, part: Path, have: int, total: int | None, label: str) -> None:
    progress = Progress(label, max((total or 0) // _CHUNK, 1), unit="MiB", done=have // _CHUNK) if total else None
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        try:
            # As it lies there: some servers call a .tar.gz a tar that is only packed for the way.
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                before = file.tell() // _CHUNK
                file.write(chunk)
                if progress and (steps := file.tell() // _CHUNK - before):
                    progress.advance(steps)
        except urllib3.exceptions.HTTPError as error:
            raise _Cut(f"{_in_words(error)} after {decimal(file.tell())}") from None
        if total is not None and file.tell() < total:
            raise _Cut(f"the connection was cut after {decimal(file.tell())} of {decimal(total)}")


def _headers(remote: Remote, part: Path, have: int) -> dict[str, str]:
    # Not packed for the way: a .tar.gz would come unpacked, and ranges would count other bytes.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if not remote.checksum:
            headers["If-Range"] = _version_file(part).read_text()
    return headers


def _resumable(remote: Remote, part: Path) -> bool:
    """Tell whether a part may be gone on with: two pieces of different files show in the checksum or in the version."""
    return part.is_file() and part.stat().st_size > 0 and bool(remote.checksum or _version_file(part).is_file())


def _keep_version(response: requests.Response, part: Path) -> None:
    version = response.headers.get("ETag", response.headers.get("Last-Modified", ""))
    # A weak tag does not say that the bytes are the same, and may not be asked with.
    if version and not version.startswith("W/"):
        _version_file(part).write_text(version)
    else:
        _version_file(part).unlink(missing_ok=True)


def _starts_at(response: requests.Response, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _require_whole(response: requests.Response, part: Path, have: int) -> None:
    if response.headers.get("Content-Range", "").removeprefix("bytes */") == str(have):
        return
    part.unlink()
    raise _Cut("its file is shorter than what has come, so that is of another file; it starts anew")


def _wrong_with(path: Path, remote: Remote) -> str | None:
    """Return what is wrong with a file, as a phrase that follows its name, or None."""
    if remote.checksum:
        kind, expected = remote.checksum.split(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        return None if found == expected else f"has the {kind} {found}, where {expected} is expected"
    size = path.stat().st_size
    return None if remote.size in (None, size) else f"has {size:,} bytes, where {remote.size:,} are expected"


def _move_aside(path: Path) -> Path:
    """Rename a file to `<name>.bad`, or where there is one already, to `<name>.bad-2` and so on."""
    names = (_beside(path, f".bad-{number}" if number > 1 else ".bad") for number in range(1, 10**6))
    free = next(name for name in names if not name.exists())
    os.rename(path, free)
    return free


def _token_of(url: str) -> "_Bearer":
    name = _token_name(url)
    return _Bearer(os.environ.get(name) if name and _is_private(url) else None)


def _token_name(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    return next((name for known, name in TOKENS.items() if host == known or host.endswith(f".{known}")), None)


class _Bearer(requests.auth.AuthBase):
    """Sends a token, or nothing; `requests` drops it where the server sends us on to another host."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _hint(url: str, status: int) -> str:
    name = _token_name(url)
    if status not in (401, 403) or not name:
        return ""
    state = "is set, but was not accepted" if os.environ.get(name) else "is not set"
    return f" (it wants a token of an account that accepted its terms; the environment variable {name} {state})"


def _in_words(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "no connection, or the connection was cut"
    return type(error).__name__


def _no_mirror(remote: Remote, target: Path, failures: list[str]) -> str:
    size = f" ({decimal(remote.size)})" if remote.size else ""
    part = _beside(target, ".part")
    kept = f"\nWhat has come is kept as {part}; the next try goes on from there." if part.is_file() else ""
    checked = "checked, " if remote.checksum or remote.size else ""
    return (
        f"{remote.file}{size} could not be fetched:\n" + "\n".join(failures) + kept + "\nIf you have it, or get it in "
        f"another way, put it at {target} and run again: it is {checked}used, and never deleted."
    )


def _version_file(part: Path) -> Path:
    return _beside(part, ".etag")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
