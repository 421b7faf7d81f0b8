"""The catalogues are listed with what is on disk."""

import json
import os
import re
from pathlib import Path

import pytest

from nml import plugins
from nml.cli import main
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise

ROOT = Path(__file__).parents[2]


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    main(["data"])
    lines = [line for line in capsys.readouterr().out.splitlines() if " corpus " in line or " task " in line]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_what_is_here_has_samples_size_and_licence(
    tiny_corpus: Path, tiny_task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = rows(capsys)
    size = sum(file.stat().st_size for file in tiny_corpus.iterdir())
    assert shown["tiny"] == f"corpus pre-training here {size / 1000:.1f} kB train 24, val 6 embedded CC0-1.0"
    assert shown["tiny-domains"].startswith("task id, ood here ")
    assert shown["tiny-domains"].endswith("train 12, val 6, test 6, test-far 6 embedded CC0-1.0")


def test_what_is_missing_says_where_it_should_be(
    tiny_corpus: Path, tiny_task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_task / "info.json").unlink()
    (tiny_corpus / "tiny-train-00.tar").unlink()
    shown = rows(capsys)
    assert shown["tiny-domains"].startswith("task id, ood missing from ")
    assert "lacks 1 of 5 shards" in shown["tiny"]


@pytest.fixture
def noisy(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the corpus `tiny` is indexed, with one noise."""
    monkeypatch.chdir(tmp_path)
    index_corpus(open_corpus("tiny"), Path("results/corpora/tiny"))
    inject_noise(Path("results/corpora/tiny"), Noise("symmetric", 50), 0, Path("results/noise/tiny/symmetric-50"))
    return tmp_path


def test_verify_says_what_is_as_it_was(noisy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    materialise(
        open_corpus("tiny"), Path("results/noise/tiny/symmetric-50"), Path("results/materialised/tiny/symmetric-50")
    )
    main(["data", "verify"])
    assert capsys.readouterr().out.splitlines() == [
        "corpus tiny: as it was made",
        "noise tiny/symmetric-50: as it was made",
        "materialised tiny/symmetric-50: as it was made",
    ]


def test_verify_names_all_that_changed(noisy: Path, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    materialise(
        open_corpus("tiny"), Path("results/noise/tiny/symmetric-50"), Path("results/materialised/tiny/symmetric-50")
    )
    for path in (
        tiny_corpus / "tiny-train-02.tar",
        noisy / "results/noise/tiny/symmetric-50/overlay/tiny-train-02.tar.parquet",
        noisy / "results/materialised/tiny/symmetric-50/tiny-train-00.tar",
    ):
        data = bytearray(path.read_bytes())
        data[-600] ^= 1
        path.write_bytes(bytes(data))
    with pytest.raises(SystemExit):
        main(["data", "verify", "tiny"])
    error = capsys.readouterr().err
    assert "corpus tiny: 1 shards changed" in error
    assert "tiny-train-02.tar has another SHA-256" in error
    assert "noise tiny/symmetric-50: 1 of 5 files are missing or changed" in error
    assert "materialised tiny/symmetric-50: 1 of 4 files are missing or changed" in error


def test_index_hands_over_to_the_workflow(tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(os, "execv", lambda *command: called.append(command))
    main(["data", "index", "tiny"])
    program, arguments = called[0]
    assert os.access(program, os.X_OK)
    assert arguments == [program, "results/corpora/tiny/manifest.json"]


@pytest.mark.parametrize(("names", "message"), [([], "say which corpus to index: tiny"), (["tin"], "no corpus 'tin'")])
def test_index_refuses_what_it_cannot_find(
    tiny_corpus: Path, names: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["data", "index", *names])
    assert message in capsys.readouterr().err


def test_verify_names_what_is_not_indexed(noisy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "verify", "huge"])
    assert "'huge' is not indexed here" in capsys.readouterr().err


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no row wrap."""
    monkeypatch.setattr("nml.cli.console._FILE_WIDTH", 600)


def test_a_real_corpus_that_is_here_has_what_its_source_says(
    real_layouts: Path, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = rows(capsys)
    for name, entry in plugins.corpora().items():
        if name != "emoji":
            assert shown[name].startswith("corpus pre-training here"), name
            assert shown[name].endswith(f"{entry['samples']} {entry['licence']}")
    assert "here: cc12m, yfcc15m" in shown["cc12m-yfcc15m"]


def test_a_real_corpus_that_is_missing_says_where_it_is_had(
    tmp_path: Path, wide: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = rows(capsys)
    assert "missing; from timm/imagenet-1k-wds on Hugging Face" in shown["imagenet1k"]
    assert "lacks cc12m, yfcc15m" in shown["cc12m-yfcc15m"]


def test_the_list_is_there_as_json(tiny_corpus: Path, tiny_task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "list", "--json"])
    shown = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert shown["tiny-domains"] | {"size": ""} == {
        "name": "tiny-domains",
        "kind": "task",
        "group": "id, ood",
        "state": "here",
        "size": "",
        "samples": "train 12, val 6, test 6, test-far 6",
        "split": "embedded",
        "licence": "CC0-1.0",
        "here": True,
        "folder": str(tiny_task),
    }


def test_real_tasks_say_how_they_are_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["data", "list", "--json"])
    shown = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert shown["cifar10"]["state"] == "missing; nml data fetch cifar10"
    assert (shown["cifar10"]["split"], shown["cifar10"]["samples"]) == ("papers", "train 50,000, test 10,000")
    assert shown["stanford-cars"]["state"] == shown["imagenet"]["state"] == "missing; by hand"
    (tmp_path / "data/tasks/cifar10/cifar-10-batches-py").mkdir(parents=True)
    main(["data", "list", "--json"])
    shown = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert shown["cifar10"]["state"] == "here" and shown["cifar10"]["here"]


def test_fetch_says_where_the_data_is(
    tiny_task: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "fetch", "tiny-domains"])
    assert capsys.readouterr().out == f"tiny-domains: in {tiny_task}\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "say which task to fetch"),
        (["cifar11"], "there is no task 'cifar11' .* Did you mean 'cifar10'"),
        (["imagenet1k"], "The data set is gated: log in there"),
        (["emoji"], "the corpus 'emoji' is here already; only tasks are fetched"),
        (["stanford-cars", "resisc45"], "(?s)task 'stanford-cars'.*to get it: .*task 'resisc45'.*to get it: "),
    ],
)
def test_what_cannot_be_fetched_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/embedded").symlink_to(ROOT / "data/embedded")
    with pytest.raises(SystemExit):
        main(["data", "fetch", *names])
    assert re.search(message, capsys.readouterr().err)
