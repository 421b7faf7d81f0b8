"""Counting corrupt images, and stopping where they are too many."""

import logging

from nml.errors import UserError

logger = logging.getLogger("nml")
LISTED = 20


class CorruptImages:
    """The corrupt images that this process met in an epoch.

    Parameters
    ----------
    label : of the run
    samples : of an epoch, of all processes together
    max_share : of the samples, that may be corrupt; at 0, the first one stops the run

    Attributes
    ----------
    count : int
        Of the epoch that is under way.
    """

    def __init__(self, label: str, samples: int, max_share: float) -> None:
        self.label, self.samples, self.max_share = label, samples, max_share
        self.count = 0
        self._seen: set[str] = set()

    def meet(self, found: list[str]) -> None:
        """Count what was said of some images, and log it, each once, up to `LISTED`.

        Raises
        ------
        UserError
            As `require_few` does, of those that this process met.
        """
        for said in found:
            if said not in self._seen and len(self._seen) < LISTED:
                self._seen.add(said)
                more = " Others will be counted, and not listed." if len(self._seen) == LISTED else ""
                logger.warning("%s  %s It is passed over.%s", self.label, said, more)
        self.count += len(found)
        if found:
            self.require_few(self.count, found[-1])

    def require_few(self, count: int, last: str = "") -> None:
        """Stop where more images of an epoch are corrupt than may be.

        Raises
        ------
        UserError
            Naming the share, what is allowed, and one of the images.
        """
        if count > self.max_share * self.samples:
            raise UserError(
                f"{self.label}: {count:,} of the {self.samples:,} images of an epoch are corrupt so far, and "
                f"max_corrupt_share allows {self.max_share:g} of them. {last or 'They are listed above.'} Restore the "
                "shards from their source; or, if so many are to be left out, raise max_corrupt_share in the "
                "configuration, and training goes on from its last checkpoint."
            )
