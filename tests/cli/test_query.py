"""The results answer SQL; what is wrong with a question, or missing for it, is said."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nml.artifacts import write_parquet, write_text
from nml.cli import main
from nml.reporting.digest import DIGEST_KEY, cells_digest
from nml.reporting.reading import read_cells

NOISY = "emoji/small/symmetric-20/s0"
UNTRAINED = "emoji/small/untrained/s0"


@pytest.fixture
def results(make_cell: Callable, make_encoder: Callable, make_spectrum: Callable) -> None:
    make_encoder(NOISY, 0.625)
    make_encoder(UNTRAINED, None)
    make_spectrum(NOISY, "emoji-domains")
    for encoder, value in ((NOISY, 0.75), (UNTRAINED, 0.25)):
        for method in ("lp", "majority"):
            make_cell(encoder, "emoji-domains", method, value)


def ask(capsys: pytest.CaptureFixture[str], sql: str, *options: str) -> list[list[str]]:
    main(["query", sql, *options])
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip("─ ")]


def refusal(capsys: pytest.CaptureFixture[str], sql: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["query", sql])
    shown = capsys.readouterr()
    assert (caught.value.code, shown.out) == (2, "")
    assert "Traceback" not in shown.err
    return shown.err


@pytest.mark.usefixtures("results")
def test_cells_do_not_hold_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "SELECT count(*) AS n FROM cells") == [["n"], ["4"]]
    sql = "SELECT noise_kind, avg(value) AS mean FROM cells GROUP BY ALL ORDER BY ALL"
    assert ask(capsys, sql) == [["noise_kind", "mean"], ["symmetric", "0.75"], ["untrained", "0.25"]]


@pytest.mark.usefixtures("results")
def test_predictions_say_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "SELECT encoder, task, method, avg((label = prediction)::int) AS acc FROM predictions GROUP BY ALL ORDER BY ALL"
    )
    assert ask(capsys, sql)[1:] == [
        [encoder, "emoji-domains", method, "0.5"] for encoder in (NOISY, UNTRAINED) for method in ("lp", "majority")
    ]


@pytest.mark.usefixtures("results")
def test_encoders_have_their_identity_and_plain_facts(capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT address, noise_kind, noise_percent, validation_accuracy FROM encoders ORDER BY address"
    assert ask(capsys, sql)[1:] == [[NOISY, "symmetric", "20", "0.625"], [UNTRAINED, "untrained", "0", "None"]]


@pytest.mark.usefixtures("results")
def test_views_can_be_joined(capsys: pytest.CaptureFixture[str]) -> None:
    identity = "corpus, recipe, noise_kind, noise_percent, pretrain_seed, task"
    assert ask(capsys, f"SELECT sve, value FROM spectra JOIN cells USING ({identity})")[1:] == [["0.6", "0.75"]] * 2
    joined = "SELECT count(*) AS n FROM predictions JOIN encoders ON encoder = address"
    assert ask(capsys, joined) == [["n"], ["8"]]


@pytest.mark.usefixtures("results")
def test_tables_can_be_saved(capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT method, value FROM cells ORDER BY ALL"
    assert ask(capsys, sql, "--csv", "out/table.csv") == [["written", "to", "out/table.csv"]]
    assert Path("out/table.csv").read_text() == "method,value\nlp,0.25\nlp,0.75\nmajority,0.25\nmajority,0.75\n"
    ask(capsys, sql, "--parquet", "out/table.parquet")
    assert pq.read_table("out/table.parquet")["value"].to_pylist() == [0.25, 0.75, 0.25, 0.75]
    assert len(list(Path("out").iterdir())) == 2


@pytest.mark.usefixtures("results")
def test_long_tables_are_cut_on_the_screen_but_not_in_files(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ask(capsys, "SELECT * FROM range(300)")
    assert shown[-1][:5] == ["Only", "the", "first", "200", "rows"]
    assert len(shown) == 202
    ask(capsys, "SELECT * FROM range(300)", "--csv", "all.csv")
    assert len(Path("all.csv").read_text().splitlines()) == 301


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT nothing FROM cells",
        "SELECT * FROM cell",
        "SELECT * FROM read_parquet('results/gone.parquet')",
        "SELECT CAST(method AS INT) FROM cells",
    ],
)
def test_a_wrong_question_names_the_views(sql: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "The views here are: cells, encoders, predictions, spectra." in refusal(capsys, sql)


@pytest.mark.usefixtures("results")
def test_files_that_are_being_written_do_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("cells", "spectra"):
        write_text(f"results/{folder}/{NOISY}/emoji-domains/.lp.123.tmp.parquet", "half a file")
        write_text(f"results/{folder}/{NOISY}/emoji-domains/.lp.predictions.123.tmp.parquet", "half a file")
    assert ask(capsys, "SELECT count(*) AS n FROM cells") == [["n"], ["4"]]
    assert ask(capsys, "SELECT count(*) AS n FROM spectra") == [["n"], ["1"]]
    assert ask(capsys, "SELECT count(*) AS n FROM predictions") == [["n"], ["8"]]


@pytest.mark.usefixtures("results")
def test_a_question_that_gives_no_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gives no table" in refusal(capsys, "")


def test_without_results_it_says_how_to_make_them(capsys: pytest.CaptureFixture[str]) -> None:
    shown = refusal(capsys, "SELECT * FROM cells")
    assert "no results in this folder yet" in shown
    assert "snakemake" in shown


def test_views_without_files_are_not_there(make_encoder: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    make_encoder(NOISY, 0.625)
    assert "The views here are: encoders." in refusal(capsys, "SELECT * FROM cells")


EVERYTHING = "SELECT count(*), max(value) FROM cells"
CELL = Path(f"results/cells/{NOISY}/emoji-domains/lp.parquet")


@pytest.fixture
def marked_table(results: None) -> Path:
    """Write a table of the report of these cells, whose values, all 1, show that it answered."""
    cells = [file for file in Path("results/cells").rglob("*.parquet") if "predictions" not in file.name]
    rows = read_cells(cells).assign(value=1.0)
    table = Path("results/tables/cells.parquet")
    schema = pa.Table.from_pandas(rows, preserve_index=False).schema.with_metadata({DIGEST_KEY: cells_digest(cells)})
    write_parquet(table, {name: rows[name] for name in rows}, schema)
    return table


@pytest.mark.usefixtures("marked_table")
def test_the_reports_table_answers_while_it_is_of_these_cells(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, EVERYTHING)[-1] == ["4", "1"]


@pytest.mark.usefixtures("marked_table")
def test_it_answers_in_a_copied_folder_too(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree("results", copy / "results", copy_function=shutil.copyfile)
    monkeypatch.chdir(copy)
    assert ask(capsys, EVERYTHING)[-1] == ["4", "1"]


@pytest.mark.usefixtures("marked_table")
def test_it_does_not_answer_for_an_edited_cell_of_the_same_size_and_time(
    make_cell: Callable, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = CELL.stat()
    make_cell(NOISY, "emoji-domains", "lp", 0.875)
    os.utime(CELL, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert CELL.stat().st_size == before.st_size
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree("results", copy / "results")
    monkeypatch.chdir(copy)
    # Copied last, the table has the later times.
    shutil.copyfile("results/tables/cells.parquet", "again")
    os.replace("again", "results/tables/cells.parquet")
    assert ask(capsys, EVERYTHING)[-1] == ["4", "0.875"]


@pytest.mark.usefixtures("marked_table")
def test_it_does_not_answer_for_a_cell_less_or_more(make_cell: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    make_cell(NOISY, "emoji-domains", "mlp", 0.5)
    assert ask(capsys, EVERYTHING)[-1] == ["5", "0.75"]
    CELL.with_name("mlp.parquet").unlink()
    assert ask(capsys, EVERYTHING)[-1] == ["4", "1"]
    CELL.unlink()
    assert ask(capsys, EVERYTHING)[-1] == ["3", "0.75"]


def test_it_does_not_answer_for_a_cell_that_was_renamed(marked_table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CELL.rename(CELL.with_name("mlp.parquet"))
    assert ask(capsys, EVERYTHING)[-1] == ["4", "0.75"]


def test_a_damaged_table_or_one_that_names_no_cells_is_not_asked(
    marked_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = marked_table.read_bytes()
    marked_table.write_bytes(whole[:-1])
    assert ask(capsys, EVERYTHING)[-1] == ["4", "0.75"]
    rows = pq.ParquetFile(io.BytesIO(whole)).read()
    write_parquet(marked_table, {name: rows[name] for name in rows.column_names})
    assert ask(capsys, EVERYTHING)[-1] == ["4", "0.75"]


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("damage", ["truncated", "foreign", "middle", "version"])
def test_a_cell_that_cannot_be_read_is_named(damage: str, first: bool, capsys: pytest.CaptureFixture[str]) -> None:
    cells = sorted(file for file in Path("results/cells").rglob("*.parquet") if "predictions" not in file.name)
    cell = cells[0 if first else -1]
    spoil(cell, damage)
    for sql in ("SELECT count(*) FROM cells", "SELECT avg(value) FROM cells"):
        shown = refusal(capsys, sql)
        assert shown.startswith(f"nml query: {cell} ") and "elete it and rerun" in shown and shown.count("\n") == 1


def spoil(cell: Path, damage: str) -> None:
    """Truncate a cell, overwrite its middle, or write other columns or another version of the schema."""
    whole, rows = cell.read_bytes(), pq.ParquetFile(cell).read()
    columns = {name: rows[name] for name in rows.column_names}
    if damage == "truncated":
        cell.write_bytes(whole[:-9])
    elif damage == "middle":
        cell.write_bytes(whole[:4] + b"\xff" * (len(whole) - 12) + whole[-8:])
    elif damage == "foreign":
        write_parquet(cell, {"value": [0.5]})
    else:
        write_parquet(cell, columns, rows.schema.with_metadata({"nml_schema": "2"}))


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("text", ['{"address": ', "[]"])
def test_a_damaged_description_of_an_encoder_is_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"results/encoders/{NOISY}/meta.json"
    write_text(path, text)
    assert f"nml query: {path} " in refusal(capsys, "SELECT * FROM encoders")
