"""A corpus with its noise, for tools that know nothing of overlays: tars become tars, a folder tree becomes one.

No image is decoded: all but the changed labels and captions are the clean bytes.
"""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from nml.artifacts import full_disk_named, read_json, write_json
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.content import sha256_of
from nml.corpora.verify import require_unchanged
from nml.noise.noisy_folder import write_noisy_folder
from nml.noise.noisy_shard import write_noisy_shard
from nml.noise.overlay import read_overlay
from nml.processes import in_processes
from nml.progress import Progress

Note = dict[str, Any]
"""What was made of a shard: `made_of` (SHA-256 of shard and overlay), `files` (bytes by path), `sha256` of a tar."""


def materialise(corpus: Corpus, noise_dir: Path, out_dir: Path, workers: int = 1) -> None:
    """Write every training shard with its noise, then `manifest.json` with the SHA-256 of each shard or class folder.

    A killed run goes on where it stood, by the notes that it keeps in `.notes` until it is done.

    Parameters
    ----------
    corpus : the clean shards
    noise_dir : `results/noise/<corpus>/<noise>`
    out_dir : where the noisy shards go, under the names of the clean ones
    workers : processes

    Raises
    ------
    UserError
        If a shard or its overlay is missing, damaged or not the one that the noise was made for, or the disk is full.
    """
    noise = read_json(noise_dir / "manifest.json")
    shards = corpus.shards["train"]
    require_unchanged(shards, noise["shards"])
    with full_disk_named(out_dir):
        notes = _write_shards(shards, noise, noise_dir, out_dir, workers)
        if any(shard.path.is_dir() for shard in shards):
            _remove_others(out_dir, shards, notes)
            digests = list(in_processes(sha256_of, [(out_dir / shard.name,) for shard in shards], workers))
        else:
            _write_sizes(out_dir, noise["shards"])
            digests = [note["sha256"] for note in notes]
        kept = {name: noise[name] for name in ("corpus", "noise", "seed", "definition", "samples", "changed")}
        names = [shard.name for shard in shards]
        write_json(out_dir / "manifest.json", kept | {"shards": dict(zip(names, digests, strict=True))})
    shutil.rmtree(out_dir / ".notes")


def _write_shards(
    shards: list[Shard], noise: dict[str, Any], noise_dir: Path, out_dir: Path, workers: int
) -> list[Note]:
    progress = Progress(f"materialise {noise['corpus']}/{noise['noise']}", len(shards), unit="shards")
    sources = [
        {"shard": noise["shards"][shard.name]["sha256"], "overlay": noise["overlay"][shard.name]} for shard in shards
    ]
    jobs = [(shard, source, noise_dir, out_dir) for shard, source in zip(shards, sources, strict=True)]
    notes = []
    with closing(in_processes(_materialise_shard, jobs, workers)) as made:
        for note in made:
            notes.append(note)
            progress.advance()
    return notes


def _materialise_shard(shard: Shard, made_of: dict[str, str], noise_dir: Path, out_dir: Path) -> Note:
    """Write one shard with its noise, unless that was done before."""
    note_file = out_dir / ".notes" / f"{shard.name}.json"
    if note_file.is_file() and _holds(note := read_json(note_file), made_of, out_dir):
        return note
    changes = read_overlay(noise_dir, shard.name, made_of["overlay"])
    own = {key.removeprefix(shard.prefix): change for key, change in changes.items()}
    target = out_dir / shard.name
    if shard.path.is_dir():
        written, sha256 = write_noisy_folder(shard.path, own, target.parent), None
    else:
        written, sha256 = [target], write_noisy_shard(shard.path, own, target)
    files = {path.relative_to(out_dir).as_posix(): path.stat().st_size for path in written}
    note = {"made_of": made_of, "files": files, "sha256": sha256}
    write_json(note_file, note)
    return note


def _holds(note: Note, made_of: dict[str, str], out_dir: Path) -> bool:
    sizes = {file: path.stat().st_size for file in note["files"] if (path := out_dir / file).is_file()}
    return note["made_of"] == made_of and note["files"] == sizes


def _write_sizes(out_dir: Path, shards: dict[str, dict[str, Any]]) -> None:
    """Write the samples of each shard into `sizes.json` beside it, where open_clip's trainer looks for them."""
    folders: dict[Path, dict[str, int]] = {}
    for name, facts in shards.items():
        path = out_dir / name
        folders.setdefault(path.parent, {})[path.name] = facts["samples"]
    for folder, sizes in folders.items():
        write_json(folder / "sizes.json", sizes)


def _remove_others(out_dir: Path, shards: list[Shard], notes: list[Note]) -> None:
    """Remove the images that another noise left in the class folders: in a tree, every image there counts."""
    expected = {out_dir / file for note in notes for file in note["files"]}
    for shard in shards:
        for path in set((out_dir / shard.name).iterdir()) - expected:
            path.unlink()
