"""Downstream tasks: a training split, a validation split held out from it, and one or more test sets."""
