"""One file a noise kind; its literal `CORRUPTS` says whether it changes labels or captions (see `nml.plugins`)."""
