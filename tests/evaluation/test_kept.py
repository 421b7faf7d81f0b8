"""Outputs are put back only if they were made from the same and are whole; else they are made anew."""

import os
import subprocess
from pathlib import Path

import pytest

from nml import plugins
from nml.evaluation.kept import keep, restore
from nml.grid import cell_path, spectrum_path

MADE_FROM = {"method": {"learning_rate": 0.1}, "code": "abc", "fractions": [100]}
ENCODER = "emoji/resnet-mini/symmetric-20/s0"


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two outputs that were made and kept."""
    monkeypatch.chdir(tmp_path)
    files = [Path("results/cells/a/b/lp.parquet"), Path("results/cells/a/b/lp.meta.json")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"what is in {file.name}")
    keep(files, MADE_FROM)
    return files


def delete(files: list[Path]) -> None:
    for file in files:
        file.unlink()


def test_deleted_outputs_come_back_byte_for_byte(cell):
    before = [file.read_bytes() for file in cell]
    delete(cell)
    assert restore(cell, MADE_FROM)
    assert [file.read_bytes() for file in cell] == before
    assert {path.name for path in Path("results/cells").rglob("*") if path.is_file()} == {file.name for file in cell}


def test_what_is_kept_takes_no_room(cell):
    assert all(file.stat().st_nlink == 2 for file in cell)


@pytest.mark.parametrize("changes", [{"code": "other"}, {"method": {}}, {"fractions": [50, 100]}, {"more": 1}])
def test_outputs_of_anything_else_are_not_put_back(cell, changes):
    delete(cell)
    assert not restore(cell, MADE_FROM | changes)
    assert not any(file.exists() for file in cell)


@pytest.mark.parametrize("place", [0, 1])
def test_damaged_or_missing_copies_are_not_put_back(cell, place):
    copy = Path("results/kept/cells/a/b") / cell[place].name
    delete(cell)
    copy.write_text("written over in place")
    assert not restore(cell, MADE_FROM)
    copy.unlink()
    assert not restore(cell, MADE_FROM)


@pytest.mark.parametrize("content", [b"", b'{"made_from": {"me', b"[]", b"null", b"\xff"])
def test_a_damaged_record_is_as_none_and_the_next_one_replaces_it(cell, content):
    record = Path("results/kept/cells/a/b/lp.made-from.json")
    record.write_bytes(content)
    assert not restore(cell, MADE_FROM)
    keep(cell, MADE_FROM)
    assert restore(cell, MADE_FROM)


def test_a_half_kept_output_is_not_put_back(cell, monkeypatch):
    def dying(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("nml.evaluation.kept.write_json", dying)
    with pytest.raises(KeyboardInterrupt):
        keep(cell, MADE_FROM)
    assert not restore(cell, MADE_FROM)


def test_without_hard_links_there_are_copies(cell, monkeypatch):
    def refused(*arguments):
        raise OSError("not here")

    monkeypatch.setattr(os, "link", refused)
    keep(cell, MADE_FROM)
    before = [file.read_bytes() for file in cell]
    delete(cell)
    assert restore(cell, MADE_FROM)
    assert [file.read_bytes() for file in cell] == before


def test_the_docs_say_how_to_forget_what_is_kept_of_a_task(tmp_path, monkeypatch):
    page = (plugins.PACKAGE.parent / "docs/tasks.md").read_text(encoding="utf-8")
    (command,) = [line for line in page.splitlines() if line.startswith("rm ")]
    monkeypatch.chdir(tmp_path)
    kept = {
        task: [[Path(cell_path(ENCODER, task, "lp"))], [Path(spectrum_path(ENCODER, task))]]
        for task in ("cifar10", "cifar10+asymmetric-2.5", "cifar100")
    }
    for files in (files for outputs in kept.values() for files in outputs):
        files[0].parent.mkdir(parents=True, exist_ok=True)
        files[0].touch()
        keep(files, MADE_FROM)
    features = [Path("results/features", ENCODER, task) for task in ("cifar10", "cifar100")]
    for folder in features:
        folder.mkdir(parents=True)
    subprocess.run(["bash", "-c", command.replace("<task>", "cifar10")], check=True)
    restored = {task: [restore(files, MADE_FROM) for files in outputs] for task, outputs in kept.items()}
    assert restored == {"cifar10": [False] * 2, "cifar10+asymmetric-2.5": [False] * 2, "cifar100": [True] * 2}
    assert [folder.exists() for folder in features] == [False, True]


def test_outputs_that_a_storage_plugin_has_for_a_job_are_kept_where_the_next_one_finds_them(cell):
    places = [[Path(".snakemake/storage/fs/volume", file) for file in cell] for _ in range(2)]
    for file in places[0]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("made in a pod")
    keep(places[0], MADE_FROM)
    delete(places[0])
    assert restore(places[1], MADE_FROM) and restore(cell, MADE_FROM)
    assert {file.read_text() for file in (*places[1], *cell)} == {"made in a pod"}
