"""The embedded corpus with fewer shards, for tests that index it and train on it for real."""

import shutil
from pathlib import Path

from nml.artifacts import read_json, write_json

ROOT = Path(__file__).parents[1]
EMOJI = Path("data/embedded/corpora/emoji")


def copy_corpus(folder: Path, shards: int) -> None:
    """Copy the corpus to where `folder` has it, with some of its twelve training shards."""
    shutil.copytree(ROOT / EMOJI, folder / EMOJI)
    keep_shards(folder / EMOJI, shards)


def keep_shards(corpus: Path, count: int) -> None:
    """Remove all but the first training shards of a corpus, also from what it says of itself."""
    info = read_json(corpus / "info.json")
    train = info["splits"]["train"]
    for shard in train["shards"][count:]:
        (corpus / shard["file"]).unlink()
    train["shards"] = train["shards"][:count]
    train["samples"] = sum(shard["samples"] for shard in train["shards"])
    write_json(corpus / "info.json", info)
