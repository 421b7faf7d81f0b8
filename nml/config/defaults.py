"""Defaults that a script needs without the whole model of the configuration, whose code would count as the script's."""

# Of a corpus' images, that may be corrupt.
MAX_CORRUPT_SHARE = 0.001
