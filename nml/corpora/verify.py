"""Is a corpus on disk still the one that was indexed?"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nml.artifacts import read_json, sha256_file
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.content import sha256_of, stamp_of
from nml.errors import UserError
from nml.progress import Progress

Facts = Mapping[str, Any]
"""What an index says of a shard: `samples`, `bytes`, `modified` (nanoseconds) and `sha256`."""
_SHOWN = 20


def require_unchanged(shards: Iterable[Shard], indexed: Mapping[str, Facts]) -> None:
    """Compare shards that are about to be read with their index, quickly enough for every reader.

    Only a shard whose time of modification is another one is read: a copy of a corpus has other times, and is as good.

    Parameters
    ----------
    shards : all shards of a split
    indexed : what the index says of them, by name

    Raises
    ------
    UserError
        Naming the shards that are missing, new or changed.
    """
    _require(_problems(shards, indexed, _hasty_problem, lambda: None))


def verify_corpus(corpus: Corpus, corpus_dir: Path) -> None:
    """Compare the SHA-256 of every shard, and of the index itself, with the manifest of the index, on all cores.

    Parameters
    ----------
    corpus : the corpus on disk
    corpus_dir : `results/corpora/<corpus>`

    Raises
    ------
    UserError
        If the index is damaged; or naming all shards that are missing, new or changed.
    """
    manifest = read_json(corpus_dir / "manifest.json")
    index = corpus_dir / "index.parquet"
    if not index.is_file() or sha256_file(index) != manifest["index_sha256"]:
        raise UserError(f"{index} is missing or changed since it was made. Delete {corpus_dir} and run again.")
    indexed = {name: facts for shards in manifest["splits"].values() for name, facts in shards.items()}
    progress = Progress(f"verify {corpus.name}", max(1, len(indexed)), unit="shards")
    shards = [shard for found in corpus.shards.values() for shard in found]
    _require(_problems(shards, indexed, _content_problem, progress.advance))


def _problems(
    shards: Iterable[Shard],
    indexed: Mapping[str, Facts],
    problem: Callable[[Shard, Facts], str | None],
    advance: Callable[[], None],
) -> list[str]:
    here = {shard.name: shard for shard in shards}
    problems = [f"{name} is missing" for name in indexed if name not in here]
    problems += [f"{here[name].path} was not there when the corpus was indexed" for name in here if name not in indexed]
    # Hashing lets go of the interpreter's lock, so threads do.
    with ThreadPoolExecutor() as pool:
        both = [name for name in here if name in indexed]
        for found in pool.map(lambda name: problem(here[name], indexed[name]), both):
            problems += [found] if found else []
            advance()
    return problems


def _hasty_problem(shard: Shard, facts: Facts) -> str | None:
    try:
        size, modified = stamp_of(shard.path)
    except FileNotFoundError:
        return f"{shard.path} is missing"
    if (size, modified) == (facts["bytes"], facts["modified"]):
        return None
    return _content_problem(shard, facts)


def _content_problem(shard: Shard, facts: Facts) -> str | None:
    try:
        size = stamp_of(shard.path)[0]
        if size != facts["bytes"]:
            return f"{shard.path} has {size:,} bytes, and had {facts['bytes']:,}"
        changed = sha256_of(shard.path) != facts["sha256"]
    except FileNotFoundError:
        return f"{shard.path} is missing"
    return f"{shard.path} has another SHA-256 than when it was indexed" if changed else None


def _require(problems: list[str]) -> None:
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    listing = "".join(f"\n  {problem}" for problem in [*problems[:_SHOWN], *more])
    raise UserError(
        f"{len(problems)} shards changed since the corpus was indexed:{listing}\nRestore them, or, if the change is "
        "meant, delete the corpus' folder in results/corpora and run again."
    )
