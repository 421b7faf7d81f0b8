import re
from pathlib import Path

import pandas as pd
import pytest

from nml.artifacts import write_text
from nml.errors import UserError
from nml.reporting.headline import main_table
from nml.reporting.labels import TABLES
from nml.reporting.layout import SHOW
from nml.reporting.tables import build_tables, read_table
from nml.reporting.writing import as_markdown, write_table

from .frames import averages_of


def grid_below_caption(path: Path) -> str:
    """Return the lines of a Markdown table without the caption, which names the controls too."""
    caption, grid = path.read_text().split("\n\n", maxsplit=1)
    assert "|" not in caption
    return grid


def test_every_table_is_written_in_three_forms(tables_dir):
    names = {path.name for path in tables_dir.iterdir()}
    assert names == {f"{table}.{suffix}" for table in TABLES for suffix in ("parquet", "md", "tex")} | {"main.txt"}


def test_a_rerun_gives_the_same_bytes(study, tables_dir, tmp_path):
    shuffled = {name: files[::-1] for name, files in study.items()}
    build_tables(**shuffled, out_dir=tmp_path)
    for path in sorted(tables_dir.iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_cells_keep_their_columns_and_types(tables_dir, study):
    cells = read_table(tables_dir, "cells")
    assert list(cells) == list(pd.read_parquet(study["cell_files"][0]))
    assert len(cells) == 12 * 4 * 3 * 3 * (14 + 5)
    assert cells["value"].dtype == "float64" and cells["n"].dtype == "int64"


@pytest.mark.parametrize("table", ["cells", "averages", "per_task"])
def test_both_controls_stand_in_every_table_of_results(tables_dir, table):
    rows = read_table(tables_dir, table)
    assert "untrained" in set(rows["noise_kind"])
    assert "majority" in set(rows["method"])
    shown = grid_below_caption(tables_dir / f"{table}.md")
    assert "untrained" in shown and "majority class" in shown


@pytest.mark.parametrize("table", ["spectra", "singular_values", "pretraining"])
def test_the_untrained_encoder_stands_in_every_table_of_encoders(tables_dir, table):
    assert "untrained" in set(read_table(tables_dir, table)["noise_kind"])
    assert "untrained" in grid_below_caption(tables_dir / f"{table}.md")


def test_averages_keep_the_training_domain_apart(tables_dir):
    averages = read_table(tables_dir, "averages")
    tasks = averages.groupby("group")["tasks"].unique().map(list).to_dict()
    assert tasks == {"id": [14], "ood": [4], "source": [1]}


def test_main_table_fits_a_terminal_and_shows_each_control_once_per_recipe(tables_dir):
    text = main_table(read_table(tables_dir, "averages"))
    assert (tables_dir / "main.txt").read_text() == text + "\n"
    assert max(map(len, text.splitlines())) <= 120
    rows = [line for line in text.splitlines() if line.count(" ± ") > 1]
    assert len(rows) == 2 * (5 + 2)
    assert sum("untrained" in row for row in rows) == 2
    majority = [row for row in rows if "majority class" in row]
    assert len(majority) == 2 and all(row.count("±") == 2 for row in majority)
    assert "ID over 14 tasks, OOD over 4 test domains" in text


def test_main_table_prints_the_numbers_of_the_averages():
    rows = [{"value": 0.8125, "n": 400}, {"value": 0.25, "n": 400, "method": "majority"}]
    text = main_table(averages_of(rows))
    assert re.search(r"clean\s+81\.2 ± 3\.8", text)
    assert re.search(r"majority class\s+25\.0 ± 4\.2", text)


def test_many_methods_put_out_of_domain_below_in_domain():
    rows = [
        {"group": group, "method": method, "noise_kind": kind}
        for group in ("id", "ood")
        for method in ("lp", "mlp", "nmtune", "fine-tuning", "lora", "lora-nmtune")
        for kind in ("clean", "untrained")
    ]
    text = main_table(averages_of(rows))
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("untrained  ") == 2 and "OOD NMTune (LoRA)" in text


def test_an_average_over_fewer_tasks_is_marked():
    rows = [{"task": task, "method": method} for task in "ab" for method in ("lp", "mlp")]
    assert "†" not in main_table(averages_of(rows))
    marked = main_table(averages_of(rows[:-1]))
    assert re.search(r"clean\s+50\.0 ± \d\.\d\s+50\.0 ± \d+\.\d†", marked) and "not comparable" in marked


def test_noise_is_in_numeric_order_and_several_corpora_are_named():
    rows = [
        {"corpus": corpus, "noise_kind": kind, "noise_percent": percent}
        for corpus in ("emoji", "icons")
        for kind, percent in (("clean", 0.0), ("symmetric", 5.0), ("symmetric", 2.5), ("symmetric", 20.0))
    ]
    text = main_table(averages_of(rows))
    noise = re.findall(r"(?:emoji|icons)\s+.*?(clean|symmetric [\d.]+ %)", text)
    assert noise == ["clean", "symmetric 2.5 %", "symmetric 5 %", "symmetric 20 %"] * 2


def test_latex_has_no_bare_special_characters(tables_dir):
    for path in tables_dir.glob("*.tex"):
        body = [line for line in path.read_text().splitlines() if not line.startswith("%")]
        assert not any(re.search(r"(?<!\\)[%_#]|[^\x00-\x7f]", line) for line in body), path.name


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"averages\.parquet does not exist"):
        read_table(tmp_path, "averages")


def test_captions_say_which_seeds_there_are(tables_dir):
    note = "Pre-training seeds: 1; tuning seeds: 3. Nothing here covers luck in pre-training."
    for table in TABLES:
        assert note in (tables_dir / f"{table}.md").read_text().partition("\n\n")[0]
        assert note in (tables_dir / f"{table}.tex").read_text().splitlines()[0]
    assert note in (tables_dir / "main.txt").read_text().replace("\n", " ")


@pytest.mark.parametrize("file", ["parquet", "text"])
def test_a_failed_write_leaves_the_old_table_whole(tables_dir, tmp_path, monkeypatch, file):
    for old in tables_dir.glob("averages.*"):
        (tmp_path / old.name).write_bytes(b"old " + old.read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_, **__) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nml.artifacts.os.replace", fail)
    write = {"parquet": lambda: write_table(read_table(tables_dir, "averages"), tmp_path / "averages", ""),
             "text": lambda: write_text(tmp_path / "averages.md", "new")}  # fmt: skip
    with pytest.raises(OSError, match="disk full"):
        write[file]()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_frame_that_cannot_be_shown_is_not_written(tmp_path):
    with pytest.raises(KeyError):
        write_table(pd.DataFrame({"wrong": [1]}), tmp_path / "averages", "")
    assert not list(tmp_path.iterdir())


def test_log_text_breaks_no_markdown_table():
    text = as_markdown(pd.DataFrame({"reason": ["expected int | str,\ngot None"]}))
    assert len(text.splitlines()) == 3 and r"expected int \| str, got None" in text


def test_a_dagger_marks_differences_and_results_of_a_task_that_lack_cells(tables_dir):
    for name in ("differences", "per_task"):
        whole = read_table(tables_dir, name)
        assert "†" not in SHOW[name](whole).to_string()
        assert "†" in SHOW[name](whole.assign(missing=1)).to_string()
