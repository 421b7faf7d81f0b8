"""The one error type whose text is written for users."""


class UserError(Exception):
    """Something the user can mend: a wrong configuration value, a damaged file, a missing data set.

    The message names what is wrong, where (file, key, configuration path), what is allowed and what to do.
    Scripts and the command line print it without a traceback.
    """
