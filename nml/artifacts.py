"""Files that are either whole or absent: every writer goes through a temporary name and a rename."""

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nml.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block ends without an error.

    The temporary name keeps the suffix, because some writers choose the format by it. What a killed writer of the same
    path left behind is removed; so a path must have one writer at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.tmp{re.escape(path.suffix)}")
    for name in os.listdir(path.parent):
        if left.fullmatch(name):
            path.with_name(name).unlink(missing_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a lock file beside `path`, after any other process that holds it, and remove it at the end.

    The kernel frees it, however a process ends; what a killed one leaves, the next one removes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    while True:
        with file.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_open(file, lock):
                # Removed by the one that held it, while this one waited; somebody else may hold the new one.
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return


def _is_open(path: Path, file: IO[bytes]) -> bool:
    """Tell whether an open file is still the one of its name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
    except OSError as error:
        # What a network file system says of an open file that another machine has removed.
        if error.errno != errno.ESTALE:
            raise
        return False


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_parquet(path: str | Path, columns: dict[str, Any], schema: Any = None) -> None:
    """Write named columns as Parquet atomically; equal columns give equal bytes.

    `schema` is a `pyarrow.Schema`; without it the types are inferred.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns, schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def save_figure(figure: "Figure", stem: Path) -> None:
    """Write `<stem>.png` and `<stem>.pdf` without dates or versions, so that equal figures give equal bytes."""
    dateless = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
    for suffix, metadata in dateless.items():
        with atomic_path(stem.with_name(stem.name + suffix)) as temporary:
            figure.savefig(temporary, metadata=metadata)


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def full_disk_named(
    folder: Path, kept: str = "Nothing half-written was left there, and what is done is kept."
) -> Iterator[None]:
    """Turn the error of a full disk, or of a spent quota, into a `UserError`: where it is, and what was kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"no space is left to write to {folder}. {kept} Make room, then run again.") from error
