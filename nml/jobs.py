"""What every workflow script starts with: a log of its own, and errors that users can read."""

import errno
import fcntl
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from nml.costs import Try, counted, metered, recorded, waiting
from nml.errors import UserError
from nml.leases import WHOLE, kept_by_children, leased, visible_devices
from nml.preemption import Preempted, ignore_signals, stoppable

logger = logging.getLogger("nml")

_CLEAR_LINE = "\r\x1b[2K"


class TerminalHandler(logging.StreamHandler):
    """Writes lines, and draws the bars of `nml.progress` in place."""

    terminator = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return what to write: a bar is cut to the terminal's width, because only its last line can be drawn over."""
        text = super().format(record)
        if getattr(record, "bar", "ends") == "ends":
            return f"{_CLEAR_LINE}{text}\n"
        return _CLEAR_LINE + text[: shutil.get_terminal_size().columns - 1]


def log_handlers(file: str | Path) -> list[logging.Handler]:
    """Return handlers that write to standard error and add to a log file; only a terminal gets the passing bars."""
    kept = logging.FileHandler(file, encoding="utf-8")
    shown = TerminalHandler(sys.stderr) if sys.stderr.isatty() else logging.StreamHandler(sys.stderr)
    for handler in (kept, shown):
        if not isinstance(handler, TerminalHandler):
            handler.addFilter(lambda record: getattr(record, "bar", "") != "passes")
    return [shown, kept]


@contextmanager
def job(snakemake: Any) -> Iterator[Try]:
    """Log to the terminal and to the rule's log file; end the job with the message alone on a `UserError`.

    Yields its cost, for the job to note what it put back.

    It sees the GPUs that it leased, as many as its resource `gpu` says, and no other. What it cost is noted beside the
    log. Other errors go to the log file with their traceback, and up to Snakemake. A job that is asked to stop ends
    with `nml.preemption.EXIT_CODE`. A job that outlived a killed Snakemake may still be at work on the same outputs:
    then this one waits for it to end, and does its work after it.
    """
    cost, log = Try(), shared_path(snakemake.log[0])
    try:
        with ExitStack() as stack:
            with waiting(cost):
                lock = stack.enter_context(_hold(log))
            stack.enter_context(kept_by_children(lock))
            # Not before: an earlier run of the job may still write to its log.
            _log_to(Path(snakemake.log[0]))
            with stoppable(), recorded(log, cost), _on_its_devices(snakemake.resources, cost):
                yield cost
                ignore_signals()
    except Preempted:
        logger.warning("%s: asked to stop. What is done is kept; the next run goes on from there.", snakemake.rule)
        raise
    except UserError as error:
        logger.error("%s: %s", snakemake.rule, error)
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise


def _log_to(log: Path) -> None:
    # Emptied and then added to, as the processes of a training do too: so no line is written over theirs.
    log.write_bytes(b"")
    handlers = log_handlers(log)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    logger.setLevel(logging.INFO)


@contextmanager
def _on_its_devices(resources: Any, cost: Try) -> Iterator[None]:
    """Lease the job's devices; `gpu_percent` of its resources counts one whole device as 100."""
    count = resources.get("gpu", 0)
    if resources.get("nodes", 1) > 1:
        # Other machines see none of this one's leases, and a scheduler has set them all aside for the job.
        devices = visible_devices()
        with counted(cost, devices[0].name, count) if devices else nullcontext():
            yield
        return
    percent = min(WHOLE, max(1, resources.get("gpu_percent", WHOLE * count) // max(count, 1)))
    with ExitStack() as stack:
        with waiting(cost):
            devices = stack.enter_context(leased(count, percent))
        stack.enter_context(metered(cost, devices, percent / WHOLE))
        yield


def shared_path(path: str | Path) -> Path:
    """Return where other jobs see a file below `results/`: a storage plugin gives each job a folder of its own.

    That folder has nothing but what the job declares.
    """
    parts = Path(path).parts
    if parts[:2] != (".snakemake", "storage"):
        return Path(path)
    return Path(*parts[len(parts) - 1 - parts[::-1].index("results") :])


def _hold(log: Path) -> IO[bytes]:
    """Return the job's lock file, locked; the kernel frees it with the process."""
    path = Path(".snakemake", "nml-locks", str(log).replace("/", "+"))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("wb")
    if not try_lock(lock):
        print(f"waiting for an earlier run of this job to end ({log})", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def try_lock(file: IO[bytes]) -> bool:
    """Lock an open file, unless another process has it locked; tell whether. The kernel frees it when it is closed.

    Raises
    ------
    UserError
        Its file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
        raise UserError(
            f"the file system of {Path(file.name).parent.absolute()} has no locks (flock: {error.strerror}), which "
            "keep two runs apart. Mount it with them (Lustre: option flock; NFS: without nolock), or run elsewhere."
        ) from error
    return True
