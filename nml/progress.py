"""Progress of long work, as whole lines: jobs run side by side, and their bars must not garble each other."""

import logging
import time

logger = logging.getLogger("nml")
_WIDTH = 20


class Progress:
    """Counts steps and logs a line with a bar, the rate and the time left, at most every `interval` seconds."""

    def __init__(self, label: str, total: int, unit: str = "steps", done: int = 0, interval: float = 5.0) -> None:
        self.label, self.total, self.unit, self.interval = label, total, unit, interval
        self.done = self.resumed = done
        self.started = self.reported = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        """Count steps; log when the interval has passed or all is done."""
        self.done += steps
        now = time.monotonic()
        if now - self.reported >= self.interval or self.done >= self.total:
            self.reported = now
            logger.info("%s", self._line(now))

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
