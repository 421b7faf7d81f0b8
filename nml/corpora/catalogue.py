"""Where a corpus lies and what it holds, from its entry in `catalogue.yaml`."""

from dataclasses import dataclass
from pathlib import Path

from nml import plugins
from nml.artifacts import read_json
from nml.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """A corpus' folder, shards by split, class names, zero-shot prompts, and what supervises it."""

    name: str
    path: Path
    shards: dict[str, list[Path]]
    class_names: list[str]
    templates: list[str]


def open_corpus(name: str) -> Corpus:
    """Find a corpus' files.

    Raises
    ------
    UserError
        If its folder, class names or a shard are missing.
    """
    entry = plugins.corpora()[name]
    path = Path(entry["path"])
    shards = {split: sorted(path.glob(entry[split])) for split in ("train", "validation")}
    for split, found in shards.items():
        if not found:
            raise UserError(f"corpus '{name}' has no {split} shards: nothing matches {path / entry[split]}.")
    _require_listed(name, path)
    try:
        class_names = (path / entry["classes"]).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"corpus '{name}' has no class names: {path / entry['classes']} is missing.") from None
    return Corpus(name, path, shards, class_names, entry["templates"])


def _require_listed(name: str, path: Path) -> None:
    """A pattern does not miss a shard that is not there; the list in `info.json` does."""
    if not (path / "info.json").is_file():
        return
    listed = [shard["file"] for split in read_json(path / "info.json")["splits"].values() for shard in split["shards"]]
    if missing := [file for file in listed if not (path / file).is_file()]:
        raise UserError(
            f"corpus '{name}' lacks {len(missing)} of the {len(listed)} shards listed in {path / 'info.json'}: "
            f"{', '.join(missing)}. Restore them from their source."
        )
