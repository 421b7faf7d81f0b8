"""What every workflow script starts with: a log of its own, and errors that users can read."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nml.errors import UserError

logger = logging.getLogger("nml")


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the terminal and to the rule's log file; end the job with the message alone on a `UserError`.

    Other errors go to the log file with their traceback, and up to Snakemake.
    """
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
