"""Rebuilds the embedded data from pinned packages; `build.py` beside this folder is the entry."""
