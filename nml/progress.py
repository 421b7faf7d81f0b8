"""Progress of long work: a bar on the last line of a terminal, whole lines every so often in files and pipes."""

import logging
import sys
import time
from collections.abc import Callable

logger = logging.getLogger("nml")
_WIDTH = 20
REDRAWN_EVERY = 1.0
"""Seconds between two drawings of a bar on a terminal."""


class Progress:
    """Counts steps and logs a line with a bar, the rate and the time left, at most every `interval` seconds.

    On a terminal the bar is drawn in place, more often (`nml.jobs.TerminalHandler`). Jobs run side by side, and none
    knows of the others: their bars take turns on the last line, and a line that stays replaces the one there.
    """

    def __init__(self, label: str, total: int, unit: str = "steps", done: int = 0, interval: float = 5.0) -> None:
        self.label, self.total, self.unit, self.interval = label, total, unit, interval
        self.done = self.resumed = done
        self.started = self.reported = self.drawn = time.monotonic()
        self.redrawn_every = REDRAWN_EVERY if sys.stderr.isatty() else interval

    def advance(self, steps: int = 1, facts: Callable[[], str] | None = None) -> None:
        """Count steps; log when the interval has passed or all is done.

        `facts` says more about the work; it is called only when a line is due, because it may be costly.
        """
        self.done += steps
        now = time.monotonic()
        ends, is_due = self.done >= self.total, now - self.reported >= self.interval
        if ends or is_due or now - self.drawn >= self.redrawn_every:
            self.drawn, self.reported = now, now if is_due else self.reported
            line = self._line(now) + (f", {facts()}" if facts else "")
            logger.info("%s", line, extra={"bar": "ends" if ends else "is due" if is_due else "passes"})

    def _line(self, now: float) -> str:
        filled = round(_WIDTH * self.done / self.total)
        bar = "━" * filled + "╌" * (_WIDTH - filled)
        rate = (self.done - self.resumed) / max(now - self.started, 1e-9)
        left = clock((self.total - self.done) / rate)
        return f"{self.label}  {bar} {self.done}/{self.total} {self.unit}, {rate:.1f} a second, {left} left"


def clock(seconds: float) -> str:
    """Return seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
