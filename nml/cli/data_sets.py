"""The rows of `nml data list`: each corpus and task of the catalogues, and whether it is on this disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from nml import plugins
from nml.artifacts import read_json
from nml.corpora.catalogue import find_shards
from nml.task_entries import EmbeddedTask, TaskEntry
from nml.tasks.places import find_layout, folder_of, missing_by_hand, missing_files

COLUMNS = ("name", "kind", "group", "state", "size", "samples", "split", "licence")
"""What the table shows; `here` and `folder` are in the JSON alone."""
Row = dict[str, Any]


def data_sets() -> Iterator[Row]:
    """Yield a row for each corpus and each task: COLUMNS, `here` (bool) and `folder` (text), in this order."""
    for name, entry in plugins.corpora().items():
        yield {"name": name, "kind": "corpus", "group": "pre-training", **_corpus(entry)}
    for name, entry in plugins.tasks().items():
        groups = ", ".join(dict.fromkeys(entry.tests.values()))
        yield {"name": name, "kind": "task", "group": groups, **_task(name, entry)}


def _corpus(entry: dict[str, Any]) -> Row:
    """Describe a corpus: as found on disk if it lists itself, else as expected."""
    expected = {"size": entry["size"], "samples": entry["samples"], "split": "", "licence": entry["licence"]}
    if "pool" in entry:
        absent = [name for name in entry["pool"] if not _is_here(plugins.corpora()[name])]
        state = f"lacks {', '.join(absent)}" if absent else f"here: {', '.join(entry['pool'])}"
        return {"state": state, **expected, "here": not absent, "folder": ""}
    if (Path(entry["path"]) / "info.json").is_file():
        return _listed(Path(entry["path"]))
    here = _is_here(entry)
    state = "here" if here else f"missing; from {entry['source']}"
    return {"state": state, **expected, "here": here, "folder": entry["path"]}


def _is_here(entry: dict[str, Any]) -> bool:
    if "pool" in entry:
        return all(_is_here(plugins.corpora()[name]) for name in entry["pool"])
    return all(found for split, found in find_shards(entry).items() if split in entry)


def _task(name: str, entry: EmbeddedTask | TaskEntry) -> Row:
    """Describe a task: an embedded one as found, a real one as the catalogue expects it."""
    if isinstance(entry, EmbeddedTask):
        return _listed(Path(entry.path))
    layout, missing = find_layout(entry), missing_files(name)
    samples = ", ".join(f"{part} {content.samples:,}" for part, content in layout.parts.items())
    how = "by hand" if missing_by_hand(name) else f"nml data fetch {name}"
    facts = {"size": entry.size, "samples": samples, "split": layout.variant, "licence": entry.licence}
    return {
        "state": f"missing; {how}" if missing else "here",
        **facts,
        "here": not missing,
        "folder": str(folder_of(entry)),
    }


def _listed(path: Path) -> Row:
    """Describe a data set that lists what it holds in `info.json`."""
    absent = {"size": "", "samples": "", "split": "", "licence": "", "here": False, "folder": str(path)}
    if not (path / "info.json").is_file():
        return {"state": f"missing from {path}", **absent}
    info = read_json(path / "info.json")
    shards = [path / shard["file"] for split in info["splits"].values() for shard in split["shards"]]
    lacking = sum(not shard.is_file() for shard in shards)
    return {
        "state": f"lacks {lacking} of {len(shards)} shards" if lacking else "here",
        "size": decimal(sum(file.stat().st_size for file in path.rglob("*") if file.is_file())),
        "samples": ", ".join(f"{split} {content['samples']:,}" for split, content in info["splits"].items()),
        "split": "embedded",
        "licence": info.get("licence", "not stated"),
        "here": not lacking,
        "folder": str(path),
    }
