"""`nml data`: the corpora and tasks of the catalogues, and whether they are on this disk and unchanged."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from nml import plugins
from nml.artifacts import read_json
from nml.cli.console import console, table
from nml.corpora.catalogue import find_shards, open_corpus
from nml.corpora.verify import verify_corpus
from nml.errors import UserError
from nml.task_entries import EmbeddedTask, TaskEntry
from nml.tasks.places import find_layout, missing_files

CORPORA = Path("results/corpora")


def run(options: argparse.Namespace) -> None:
    """List the catalogues, index corpora, or verify them, their noise and what was made of both."""
    if options.action == "index":
        _index(options.corpora)
    elif options.action == "verify":
        _verify(options.corpora)
    else:
        _list()


def _index(names: list[str]) -> None:
    """Become the workflow that indexes these corpora."""
    for name in names:
        # Here, because Snakemake would say it less well.
        open_corpus(name)
    if not names:
        raise UserError(f"say which corpus to index: {', '.join(plugins.corpora())}.")
    # That of the same environment, which need not be on the path.
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    os.execv(snakemake, [snakemake, *(f"{CORPORA}/{name}/manifest.json" for name in names)])


def _verify(names: list[str]) -> None:
    """Compare all that was made of these corpora, or of every one that is indexed, with its checksums."""
    indexed = sorted(path.parent.name for path in CORPORA.glob("*/manifest.json"))
    if unknown := [name for name in names if name not in indexed]:
        raise UserError(
            f"the corpus '{unknown[0]}' is not indexed here, so there is nothing to compare it with. Indexed: "
            f"{', '.join(indexed) or 'none'}. Index it: nml data index {unknown[0]}"
        )
    if not indexed:
        print(f"no corpus is indexed here yet ({CORPORA}), so there is nothing to compare")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    problems = [problem for name in names or indexed for problem in _wrong_with(name)]
    if problems:
        raise UserError("\n".join(problems))


def _wrong_with(name: str) -> Iterator[str]:
    """Verify all that was made of a corpus, say what is as it was, and yield what is not."""
    # Only here, because the list needs no Arrow.
    from nml.noise.verify import verify_materialised, verify_noise

    noises = sorted(path.parent for path in Path("results/noise", name).glob("*/manifest.json"))
    copies = sorted(path.parent for path in Path("results/materialised", name).glob("*/manifest.json"))
    checks = [
        (f"corpus {name}", lambda: verify_corpus(open_corpus(name), CORPORA / name)),
        *((f"noise {name}/{noise.name}", partial(verify_noise, noise, CORPORA / name)) for noise in noises),
        *((f"materialised {name}/{copy.name}", partial(verify_materialised, copy)) for copy in copies),
    ]
    for what, verify in checks:
        try:
            verify()
        except UserError as error:
            yield f"{what}: {error}"
        else:
            print(f"{what}: as it was made")


def _list() -> None:
    """Print one row for each corpus and task."""
    made = table("name", "kind", "group", "state", "size", "samples", "licence", numbers=("size",))
    for name, entry in plugins.corpora().items():
        made.add_row(name, "corpus", "pre-training", *_describe_corpus(entry))
    for name, entry in plugins.tasks().items():
        made.add_row(name, "task", ", ".join(dict.fromkeys(entry.tests.values())), *_describe_task(name, entry))
    console().print(made)
    console().print(
        f"\nWhere a data set lies elsewhere on this machine, write {plugins.PATHS_FILE}: `imagenet1k: /its/folder`."
    )


def _describe_corpus(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return a corpus' state, size, samples and licence: as found on disk if it lists itself, else as expected."""
    expected = (entry["size"], entry["samples"], entry["licence"])
    if "pool" in entry:
        members = {name: _is_here(plugins.corpora()[name]) for name in entry["pool"]}
        absent = [name for name, here in members.items() if not here]
        return f"lacks {', '.join(absent)}" if absent else f"here: {', '.join(members)}", *expected
    if (Path(entry["path"]) / "info.json").is_file():
        return _describe(Path(entry["path"]))
    return "here" if _is_here(entry) else f"missing; from {entry['source']}", *expected


def _describe_task(name: str, entry: EmbeddedTask | TaskEntry) -> tuple[str, str, str, str]:
    """Return a task's state, size, samples and licence: of an embedded one as found, of a real one as expected."""
    if isinstance(entry, EmbeddedTask):
        return _describe(Path(entry.path))
    parts = find_layout(entry).parts
    samples = ", ".join(f"{part} {content.samples:,}" for part, content in parts.items())
    missing = missing_files(name)
    return f"missing from {missing[0]}" if missing else "here", entry.size, samples, entry.licence


def _is_here(entry: dict[str, Any]) -> bool:
    if "pool" in entry:
        return all(_is_here(plugins.corpora()[name]) for name in entry["pool"])
    return all(found for split, found in find_shards(entry).items() if split in entry)


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
