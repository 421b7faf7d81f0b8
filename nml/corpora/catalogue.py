"""Where a corpus lies and what it holds, from its entry in `catalogue.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from nml import plugins
from nml.artifacts import read_json
from nml.corpora.class_names import read_column, read_names
from nml.errors import UserError

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Shard:
    """A part of a corpus that is read in one go.

    Attributes
    ----------
    name : str
        Unique in the corpus: its path below the corpus' folder, in a pool after the member's name.
    path : Path
        A `.tar` or `.tar.gz`, or the folder of one class in an ImageFolder tree.
    prefix : str
        What the index puts before the shard's own keys: in a pool, two members may use the same ones.
    """

    name: str
    path: Path
    prefix: str = ""


@dataclass(frozen=True)
class Corpus:
    """A corpus' shards by split, what its samples have, and its classes.

    Attributes
    ----------
    has : tuple of str
        What every sample has beside its image: `labels`, `captions` or both.
    listed : dict
        The SHA-256 that the corpus' own `info.json` lists, by shard.
    empty_captions : bool
        Whether a caption may be empty; the index counts those that are.
    check_images : bool
        Whether the index decodes every image.
    """

    name: str
    shards: dict[str, list[Shard]]
    class_names: list[str]
    templates: list[str]
    has: tuple[str, ...]
    listed: dict[str, str] = field(default_factory=dict)
    empty_captions: bool = False
    check_images: bool = False


def open_corpus(name: str, splits: Sequence[str] = SPLITS) -> Corpus:
    """Find a corpus' files.

    Parameters
    ----------
    name : in the catalogue
    splits : those that are needed; the others have no shards

    Raises
    ------
    UserError
        If its folder, class names or a shard are missing; it says where they are to be had.
    """
    if name not in plugins.corpora():
        raise UserError(f"there is no corpus '{name}' in nml/corpora/catalogue.yaml: {', '.join(plugins.corpora())}.")
    entry = plugins.corpora()[name]
    if "pool" in entry:
        return _pooled(name, [open_corpus(member, splits) for member in entry["pool"]])
    shards = {split: found if split in splits else [] for split, found in find_shards(entry).items()}
    for split, found in shards.items():
        if split in entry and split in splits and not found:
            raise _not_here(name, entry, split)
    for split in splits:
        _require_all_shards(name, entry, split, len(shards[split]))
    listed = listed_shards(Path(entry["path"]))
    _require_listed(name, entry, [shard for shard in listed if not _is_of_others(shard, entry, splits)])
    class_names = read_names(classes_file(entry)) if "labels" in entry["has"] else []
    if "folders" in entry:
        _require_class_folders(name, shards, read_column(classes_file(entry), entry["folders"]))
    return Corpus(
        name,
        shards,
        class_names,
        templates=entry.get("templates", []),
        has=tuple(entry["has"]),
        listed=listed,
        empty_captions=entry.get("empty_captions", False),
        check_images=entry.get("check_images", False),
    )


def find_shards(entry: dict[str, Any]) -> dict[str, list[Shard]]:
    """Return the shards of an entry with a path of its own that are on disk, by split, in the order of their names."""
    path = Path(entry["path"])
    found = {split: sorted(path.glob(entry[split])) if split in entry else [] for split in SPLITS}
    return {split: [Shard(p.relative_to(path).as_posix(), p) for p in paths] for split, paths in found.items()}


def groups_of(name: str, kind: str) -> list[str] | None:
    """Return the group of each class of a corpus for a noise kind, by label; an empty name is no group.

    None if the kind has no groups in the corpus' entry.

    Raises
    ------
    UserError
        As `read_column` does.
    """
    entry = plugins.corpora()[name]
    column = entry.get("groups", {}).get(kind)
    return read_column(classes_file(entry), column) if column else None


def classes_file(entry: dict[str, Any]) -> Path:
    """Return where an entry's classes are: beside the data, or, given with a folder, below the project's root."""
    file = Path(entry["classes"])
    return file if len(file.parts) > 1 else Path(entry["path"], file)


def listed_shards(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each shard that a corpus' `info.json` lists, by its name; none if there is no such file."""
    if not (path / "info.json").is_file():
        return {}
    splits = read_json(path / "info.json")["splits"].values()
    return {shard["file"]: shard["sha256"] for split in splits for shard in split["shards"]}


def _pooled(name: str, members: list[Corpus]) -> Corpus:
    """Return several corpora as one. Their labels cannot be pooled: each counts its own classes."""
    if any(member.has != ("captions",) for member in members):
        raise UserError(f"corpus '{name}' pools {', '.join(m.name for m in members)}; all must have captions alone.")
    shards = {
        split: [Shard(f"{m.name}/{s.name}", s.path, f"{m.name}/{s.prefix}") for m in members for s in m.shards[split]]
        for split in SPLITS
    }
    listed = {f"{m.name}/{shard}": sha256 for m in members for shard, sha256 in m.listed.items()}
    anywhere = {demand: any(getattr(m, demand) for m in members) for demand in ("empty_captions", "check_images")}
    return Corpus(name, shards, [], [], ("captions",), listed=listed, **anywhere)


def _not_here(name: str, entry: dict[str, Any], split: str) -> UserError:
    path = Path(entry["path"])
    return UserError(
        f"corpus '{name}' has no {split} shards: nothing matches {path / entry[split]}.\n"
        f"  source: {entry['source']}\n  licence: {entry['licence']}\n  to get it: {entry['access']}\n"
        f"  If it is on this disk already, say where in {plugins.PATHS_FILE}, as `{name}: /its/folder`."
    )


def _is_of_others(shard: str, entry: dict[str, Any], splits: Sequence[str]) -> bool:
    """Return whether a listed shard belongs to a split that is not among those needed, by the entry's patterns."""
    return any(PurePath(shard).match(entry[split]) for split in SPLITS if split in entry and split not in splits)


def _require_listed(name: str, entry: dict[str, Any], listed: list[str]) -> None:
    """A pattern does not miss a shard that is not there; the list in `info.json` does."""
    path = Path(entry["path"])
    if missing := [file for file in listed if not (path / file).is_file()]:
        raise UserError(
            f"corpus '{name}' lacks {len(missing)} of the {len(listed)} shards listed in {path / 'info.json'}: "
            f"{', '.join(missing)}. Restore them from their source: {entry['source']}."
        )


def _require_class_folders(name: str, shards: dict[str, list[Shard]], expected: list[str]) -> None:
    """A class folder's place among its siblings is its label: one too few or too many would shift all that follow."""
    for split, found in shards.items():
        if not found:
            continue
        folders = {shard.path.name for shard in found}
        lacking, strange = sorted(set(expected) - folders), sorted(folders - set(expected))
        if lacking or strange:
            raise UserError(
                f"corpus '{name}': the folders of its {split} split in {found[0].path.parent} are not its "
                f"{len(expected)} classes. Missing: {_some(lacking)}. Unknown: {_some(strange)}.\n"
                "A folder's place among all is its label: restore what is missing, and move away what is unknown."
            )


def _require_all_shards(name: str, entry: dict[str, Any], split: str, found: int) -> None:
    expected = entry.get(f"{split}_shards", found)
    if found != expected:
        raise UserError(
            f"corpus '{name}' has {found} of its {expected} {split} shards in {entry['path']}.\n"
            f"  to get all: {entry['access']}\n"
            "  To use a part on purpose, give it an entry of its own in nml/corpora/catalogue.yaml."
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "none"
