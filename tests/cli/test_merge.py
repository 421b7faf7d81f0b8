"""Results of two machines come together by a stated rule, or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml.artifacts import write_json
from nml.cli import main

CLEAN = "emoji/small/clean/s0"
CELL = f"cells/{CLEAN}/emoji-domains/lp.parquet"
SPECTRUM = f"spectra/{CLEAN}/emoji-domains.parquet"


@pytest.fixture
def other(make_cell: Callable, make_spectrum: Callable, tmp_path: Path) -> Path:
    """Another machine's results: two cells of a task and their spectrum. Here there is nothing."""
    for method in ("lp", "majority"):
        make_cell(CLEAN, "emoji-domains", method)
    make_spectrum(CLEAN, "emoji-domains")
    return Path(shutil.move("results", tmp_path / "other"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["merge", *words])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_what_is_not_here_is_taken_over_whole_and_again_changes_nothing(
    other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["merge", str(other)])
    assert "2 cells taken over, 0 replaced, 0 were here" in capsys.readouterr().out
    assert files(Path("results")) == files(other)
    main(["merge", str(other)])
    assert "0 cells taken over, 0 replaced, 2 were here" in capsys.readouterr().out


def test_a_difference_merges_nothing_until_someone_says_whose_stays(
    other: Path, make_cell: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cell(CLEAN, "emoji-domains", "lp", 0.75)
    before = files(Path("results"))
    assert "1 cells or spectra are in both and differ" in refusal(capsys, str(other))
    assert files(Path("results")) == before
    main(["merge", str(other), "--prefer", "ours"])
    assert Path("results", CELL).read_bytes() == before[CELL]
    assert Path("results", CELL.replace("lp", "majority")).is_file()
    main(["merge", str(other), "--prefer", "theirs"])
    assert Path("results", CELL).read_bytes() == (other / CELL).read_bytes()


def test_a_spectrum_that_differs_is_no_less_a_conflict_than_a_cell(
    other: Path, make_spectrum: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here is another spectrum, and none of the cells."""
    make_spectrum(CLEAN, "emoji-domains", 0.5)
    before = files(Path("results"))
    assert f"first of all {other / SPECTRUM}" in refusal(capsys, str(other))
    assert files(Path("results")) == before
    main(["merge", str(other), "--prefer", "ours"])
    assert "2 cells taken over, 0 replaced, 0 were here" in capsys.readouterr().out
    assert files(Path("results")) == files(other) | before
    main(["merge", str(other), "--prefer", "theirs"])
    assert "0 replaced, 2 were here already, the same; 1 spectra replaced" in capsys.readouterr().out
    assert files(Path("results")) == files(other)


def test_metadata_that_a_cell_lost_here_are_taken_over(other: Path) -> None:
    main(["merge", str(other)])
    Path("results", CELL).with_suffix(".meta.json").unlink()
    main(["merge", str(other)])
    assert files(Path("results")) == files(other)


def test_the_spectrum_of_a_task_whose_name_has_a_point_is_its_own(
    make_cell: Callable, make_spectrum: Callable, tmp_path: Path
) -> None:
    for task in ("digits+symmetric-2", "digits+symmetric-2.5"):
        make_spectrum(CLEAN, task)
    make_cell(CLEAN, "digits+symmetric-2.5", "lp")
    other = Path(shutil.move("results", tmp_path / "other"))
    main(["merge", str(other)])
    spectra = [path.name for path in Path("results/spectra").rglob("*.parquet")]
    assert spectra == ["digits+symmetric-2.5.parquet"]


def test_a_damaged_spectrum_is_named(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (other / SPECTRUM).write_bytes((other / SPECTRUM).read_bytes()[:80])
    assert f"{other / SPECTRUM} cannot be read" in refusal(capsys, str(other))
    assert not os.path.exists("results")


def test_damaged_and_foreign_cells_are_named(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = other / CELL
    whole = path.read_bytes()
    path.write_bytes(whole[:80])
    assert f"{path} cannot be read" in refusal(capsys, str(other))
    path.write_bytes(whole)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns("value"), path)
    assert "lacks the columns value" in refusal(capsys, str(other))
    pq.write_table(table.replace_schema_metadata({"nml_schema": "2"}), path)
    assert "version 2 of the schema" in refusal(capsys, str(other))
    assert not os.path.exists("results")


def test_other_weights_at_the_same_address_are_refused(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, digest in ((Path("results"), "a"), (other, "b")):
        write_json(folder / "encoders" / CLEAN / "meta.json", {"checkpoint_sha256": digest})
    assert "different encoders at one address" in refusal(capsys, str(other))


def test_a_damaged_description_of_an_encoder_is_named(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (Path("results"), other):
        write_json(folder / "encoders" / CLEAN / "meta.json", {"checkpoint_sha256": "a"})
    path = other / "encoders" / CLEAN / "meta.json"
    path.write_text('{"checkpoint_sha256": ')
    assert f"{path} cannot be read" in refusal(capsys, str(other))


def test_a_folder_without_cells_is_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no folder `cells`" in refusal(capsys, str(tmp_path))
