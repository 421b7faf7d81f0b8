"""Where a corpus lies and what it holds, from its entry in `catalogue.yaml`."""

from dataclasses import dataclass
from pathlib import Path

from nml import plugins
from nml.artifacts import read_json
from nml.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """A corpus' folder, its shards by split, class names and zero-shot prompts."""

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
    if name not in plugins.corpora():
        raise UserError(f"there is no corpus '{name}' in nml/corpora/catalogue.yaml: {', '.join(plugins.corpora())}.")
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


def listed_shards(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each shard that a corpus' `info.json` lists, by its name; none if there is no such file."""
    if not (path / "info.json").is_file():
        return {}
    splits = read_json(path / "info.json")["splits"].values()
    return {shard["file"]: shard["sha256"] for split in splits for shard in split["shards"]}


def _require_listed(name: str, path: Path) -> None:
    """A pattern does not miss a shard that is not there; the list in `info.json` does."""
    listed = listed_shards(path)
    if missing := [file for file in listed if not (path / file).is_file()]:
        raise UserError(
            f"corpus '{name}' lacks {len(missing)} of the {len(listed)} shards listed in {path / 'info.json'}: "
            f"{', '.join(missing)}. Restore them from their source."
        )
