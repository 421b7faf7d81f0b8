"""The log of a training: a row an epoch, as CSV."""

import csv
import io
from pathlib import Path

from nml.artifacts import write_text

LOG = "log.csv"


def write_log(folder: Path, log: list[dict[str, float]]) -> None:
    """Write the rows of a log to `<folder>/log.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, log[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_text(folder / LOG, text.getvalue())
