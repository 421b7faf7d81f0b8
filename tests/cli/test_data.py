"""The catalogues are listed with what is on disk."""

from pathlib import Path

import pytest

from nml.cli import main


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    main(["data"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny")]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_what_is_here_has_samples_size_and_licence(
    tiny_corpus: Path, tiny_task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = rows(capsys)
    size = sum(file.stat().st_size for file in tiny_corpus.iterdir())
    assert shown["tiny"] == f"corpus pre-training here {size / 1000:.1f} kB train 24, val 6 CC0-1.0"
    assert shown["tiny-domains"].startswith("task id, ood here ")
    assert shown["tiny-domains"].endswith("train 12, val 6, test 6, test-far 6 CC0-1.0")


def test_what_is_missing_says_where_it_should_be(
    tiny_corpus: Path, tiny_task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_task / "info.json").unlink()
    (tiny_corpus / "tiny-train-00.tar").unlink()
    shown = rows(capsys)
    assert shown["tiny-domains"].startswith("task id, ood missing from ")
    assert "lacks 1 of 5 shards" in shown["tiny"]
