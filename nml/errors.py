"""The one error type whose text is written for users, and the word that they probably meant."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: a wrong configuration value, a damaged file, a missing data set.

    The message names what is wrong, where (file, key, configuration path), what is allowed and what to do.
    Scripts and the command line print it without a traceback.
    """


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a wrong one was probably meant to be, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)
