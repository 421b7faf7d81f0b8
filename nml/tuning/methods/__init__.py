"""Tuning methods: every module here is one method, found by its file name (see `nml.tuning.registry`)."""
