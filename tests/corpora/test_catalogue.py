"""A corpus is found where its entry says; what is missing is named, with the way to get it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nml import plugins
from nml.corpora.catalogue import open_corpus
from nml.errors import UserError


def test_a_listed_shard_that_is_not_there_is_refused(tiny_corpus: Path) -> None:
    (tiny_corpus / "tiny-train-01.tar.gz").unlink()
    with pytest.raises(UserError, match=r"'tiny' lacks 1 of the 5 shards .*info\.json: tiny-train-01\.tar\.gz"):
        open_corpus("tiny")


def test_a_corpus_without_a_list_of_shards_is_taken_as_it_is(tiny_corpus: Path) -> None:
    (tiny_corpus / "info.json").unlink()
    assert len(open_corpus("tiny").shards["train"]) == 4


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_shards_is_refused(tiny_corpus: Path, split: str) -> None:
    pattern = {"train": "tiny-train-*", "validation": "tiny-val-*"}[split]
    for shard in tiny_corpus.glob(pattern):
        shard.unlink()
    with pytest.raises(UserError, match=f"'tiny' has no {split} shards: nothing matches .*{pattern[:-1]}"):
        open_corpus("tiny")


def test_missing_class_names_are_refused(tiny_corpus: Path) -> None:
    (tiny_corpus / "classnames.txt").unlink()
    with pytest.raises(UserError, match=r"classnames\.txt is missing; it names the classes"):
        open_corpus("tiny")


def test_shards_come_in_the_order_of_their_names(tiny_corpus: Path) -> None:
    names = [shard.name for shard in open_corpus("tiny").shards["train"]]
    assert names == [f"tiny-train-{number:02d}.tar{'.gz' * (number % 2)}" for number in range(4)]


@pytest.mark.parametrize("name", [name for name in plugins.corpora() if name != "emoji"])
def test_a_missing_corpus_says_where_and_how_it_is_had(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = plugins.corpora()[name]
    first = plugins.corpora()[entry.get("pool", [name])[0]]
    with pytest.raises(UserError) as caught:
        open_corpus(name)
    for words in (first["source"], first["licence"], first["access"], str(plugins.PATHS_FILE), first["path"]):
        assert words in str(caught.value)


def test_an_unknown_corpus_is_refused() -> None:
    with pytest.raises(UserError, match=r"there is no corpus 'emojis' .*: emoji, imagenet1k"):
        open_corpus("emojis")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Return a function that reads the catalogue with some text in `data/paths.yaml`."""
    monkeypatch.setattr(plugins.catalogues, "PATHS_FILE", tmp_path / "paths.yaml")

    def read(text: str) -> dict:
        (tmp_path / "paths.yaml").write_text(text)
        plugins.corpora.cache_clear()
        return plugins.corpora()

    yield read
    plugins.corpora.cache_clear()


def test_one_machine_may_have_a_corpus_elsewhere(elsewhere: Callable) -> None:
    entries = elsewhere("imagenet1k: /mnt/imagenet\n")
    assert entries["imagenet1k"]["path"] == "/mnt/imagenet"
    assert entries["cc12m"]["path"] == "data/cc12m"
    assert elsewhere("")["imagenet1k"]["path"] == "data/imagenet1k"


def test_a_path_may_start_with_the_home_directory(
    elsewhere: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert elsewhere("imagenet1k: ~/imagenet\nsvhn: ~/digits\n")["imagenet1k"]["path"] == f"{tmp_path}/imagenet"
    assert plugins.place_of("svhn") == tmp_path / "digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "imagenet-1k: /mnt",
            r"no corpus or data set 'imagenet-1k' with a path \(did you mean 'imagenet1k'\?\); allowed: emoji, ",
        ),
        ("cc12m-yfcc15m: /mnt", "no corpus or data set 'cc12m-yfcc15m' with a path"),
        ("- imagenet1k", "must have a line `<name>: <folder>`"),
        ("imagenet1k: 5", "must have a line `<name>: <folder>`"),
        ("imagenet1k: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_line_about_paths_is_refused(elsewhere: Callable, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        elsewhere(text)


def test_a_corpus_may_be_opened_for_its_validation_split_alone(tiny_corpus: Path) -> None:
    for shard in tiny_corpus.glob("tiny-train-*"):
        shard.unlink()
    shards = open_corpus("tiny", ["validation"]).shards
    assert (len(shards["train"]), len(shards["validation"])) == (0, 1)
    with pytest.raises(UserError, match="'tiny' has no train shards"):
        open_corpus("tiny")
    (tiny_corpus / "tiny-val-00.tar").rename(tiny_corpus / "tiny-val-01.tar")
    with pytest.raises(UserError, match=r"'tiny' lacks 1 of the 1 shards listed in .*: tiny-val-00\.tar"):
        open_corpus("tiny", ["validation"])
    (tiny_corpus / "tiny-val-01.tar").unlink()
    with pytest.raises(UserError, match="'tiny' has no validation shards"):
        open_corpus("tiny", ["validation"])
