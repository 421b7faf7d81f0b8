"""`nml data`: the corpora and tasks of the catalogues, and whether they are on this disk."""

import argparse
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from nml import plugins
from nml.artifacts import read_json
from nml.cli.console import console, table


def run(options: argparse.Namespace) -> None:
    """Print one row for each corpus and task."""
    made = table("name", "kind", "group", "state", "size", "samples", "licence", numbers=("size",))
    for name, entry in plugins.corpora().items():
        made.add_row(name, "corpus", "pre-training", *_describe(Path(entry["path"])))
    for name, entry in plugins.tasks().items():
        made.add_row(name, "task", ", ".join(dict.fromkeys(entry["tests"].values())), *_describe(Path(entry["path"])))
    console().print(made)


def _describe(path: Path) -> tuple[str, str, str, str]:
    """Return a data set's state, size on disk, samples in each split, and licence."""
    if not (path / "info.json").is_file():
        return f"missing from {path}", "", "", ""
    info = read_json(path / "info.json")
    samples = ", ".join(f"{split} {content['samples']:,}" for split, content in info["splits"].items())
    size = decimal(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
    return _state(path, info), size, samples, info.get("licence", "not stated")


def _state(path: Path, info: dict[str, Any]) -> str:
    listed = [shard["file"] for split in info["splits"].values() for shard in split["shards"]]
    absent = sum(not (path / file).is_file() for file in listed)
    return f"lacks {absent} of {len(listed)} shards" if absent else "here"
