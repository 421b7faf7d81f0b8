"""What every workflow script starts with: a log of its own, and errors that users can read."""

import fcntl
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nml.errors import UserError

logger = logging.getLogger("nml")


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the terminal and to the rule's log file; end the job with the message alone on a `UserError`.

    Other errors go to the log file with their traceback, and up to Snakemake. A job that outlived a killed Snakemake
    may still be at work on the same outputs: then this one waits for it to end, and does its work after it.
    """
    lock = _hold(Path(snakemake.log[0]))
    handlers = [logging.StreamHandler(sys.stderr), logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8")]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    logger.setLevel(logging.INFO)
    try:
        yield
    except UserError as error:
        logger.error("%s: %s", snakemake.rule, error)
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise
    finally:
        lock.close()


def _hold(log: Path) -> IO[bytes]:
    """Return the job's lock file, locked; the kernel frees it with the process."""
    path = Path(".snakemake", "nml-locks", str(log).replace("/", "+"))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for an earlier run of this job to end ({log})", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
