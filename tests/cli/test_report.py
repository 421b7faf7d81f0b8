"""`nml report` on a half-finished matrix: what is missing and what failed is in the page and beside every average."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nml.artifacts import write_json, write_parquet, write_text
from nml.cli import main
from nml.cli.cells import problem_of
from nml.cli.jobs import jobs_of
from nml.cli.report import usable_cells
from nml.config.load import load_config
from nml.grid import Encoder, cell_path, encoder_dir, spectrum_path
from nml.reporting.markdown import KEPT
from tests.reporting.conftest import make_log

CLEAN, NOISY, UNTRAINED = (f"emoji/small/{noise}/s0" for noise in ("clean", "symmetric-20", "untrained"))
TASKS = {"emoji-domains": [("source", "test"), ("ood", "test-3d")], "handwritten-digits": [("id", "test")]}


def make_cell(encoder: str, task: str, method: str) -> Path:
    path = Path(cell_path(encoder, task, method))
    place = {**Encoder.parse(encoder).identity(), "task": task, "method": method, "fraction": 100}
    rows = [place | {"group": group, "test_set": test, "seed": seed, "metric": "accuracy", "value": 0.5, "n": 4}
            for group, test in TASKS[task] for seed in (0, 1)]  # fmt: skip
    write_parquet(path, {name: [row[name] for row in rows] for name in rows[0]})
    keys = [(test, seed, key) for _, test in TASKS[task] for seed in (0, 1) for key in "abcd"]
    columns = dict(zip(("test_set", "seed", "key"), map(list, zip(*keys, strict=True)), strict=True))
    guesses = {"label": np.zeros(len(keys), int), "prediction": np.arange(len(keys)) % 2}
    write_parquet(path.with_suffix(".predictions.parquet"), columns | {"fraction": [100] * len(keys)} | guesses)
    write_json(path.with_suffix(".meta.json"), {})
    return path


# fmt: off
def make_encoder(encoder: str, tasks: tuple[str, ...] = tuple(TASKS)) -> None:
    folder = Path(encoder_dir(encoder))
    facts = {"objective": "supervised", "architecture": "a", "realised_noise_percent": 0.0, "validation_accuracy": 0.5}
    facts |= {"epochs": 3, "samples_per_second": 10.0, "wall_seconds": 1.0}
    write_json(folder / "meta.json", {"address": encoder} | (facts if encoder != UNTRAINED else {}))
    make_log(folder / "log.csv", 0.5)
    for task in tasks:
        sets = TASKS[task]
        columns = {**{name: [value] * len(sets) for name, value in Encoder.parse(encoder).identity().items()},
                   "task": [task] * len(sets), "group": [group for group, _ in sets], "test_set": [t for _, t in sets],
                   "n": [4] * len(sets), "dim": [2] * len(sets), "singular_values": [[2.0, 1.0]] * len(sets),
                   "sve": [0.6] * len(sets), "lsvr": [0.4] * len(sets), "dominant_ratio": [0.7] * len(sets)}
        write_parquet(spectrum_path(encoder, task), columns)
# fmt: on


@pytest.fixture
def half_finished() -> None:
    """Of 12 cells: 6 there, one truncated, one of another schema, two failed in their job, two not made yet."""
    for encoder in (CLEAN, UNTRAINED):
        make_encoder(encoder)
        for method in ("lp", "majority"):
            make_cell(encoder, "handwritten-digits", method)
            make_cell(encoder, "emoji-domains", method)
    truncated = Path(cell_path(CLEAN, "emoji-domains", "lp"))
    truncated.write_bytes(truncated.read_bytes()[:-10])
    foreign = Path(cell_path(UNTRAINED, "emoji-domains", "majority"))
    write_parquet(foreign, {"value": [0.5]})
    write_text(f"results/logs/tune/{NOISY}/emoji-domains.log", "Traceback\ntune: training diverged <at once>\n")


def test_a_cell_whose_encoder_failed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    write_text(f"results/logs/pretrain/{NOISY}.log", "pretrain: the loss became nan\n")
    with pytest.raises(SystemExit):
        main(["report"])
    assert "4 failed" in (error := capsys.readouterr().err)
    assert f"its encoder failed: pretrain: the loss became nan (results/logs/pretrain/{NOISY}.log)" in error


def test_a_half_finished_matrix_says_so_everywhere(half_finished: None, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report"])
    shown = capsys.readouterr().out
    assert "6 of 12 cells: results/partial/report/index.html" in shown
    note = "The matrix is not complete: 6 of 12 cells are there (4 failed, 2 missing)."
    assert note in shown and re.search(r"symmetric 20 %\s+missing\s+missing", shown)
    text = Path("results/partial/report/index.html").read_text()
    assert note in text[: text.index('id="claims"')]
    captions = re.findall(r'<p class="caption">.*>Parquet</a>|<figcaption>.*</figcaption>', text)
    assert len(captions) > 20 and all(note in caption for caption in captions)
    assert "tune: training diverged &lt;at once&gt;" in text
    assert f"results/logs/tune/{NOISY}/emoji-domains.log" in text
    assert "the file is truncated, or no Parquet: delete it and rerun" in text
    assert "emoji-domains/majority.parquet lacks the columns corpus" in text
    assert not Path("results/tables").exists()
    every_average_names_what_it_lacks(Path("results/partial/tables"))
    assert "marks what lacks" in text


def every_average_names_what_it_lacks(tables: Path) -> None:
    averages = pd.read_parquet(tables / "averages.parquet")
    rows = averages.set_index(["noise_kind", "group", "method"])[["cells", "missing", "missing_tasks"]]
    assert rows.loc[("clean", "id", "lp")].tolist() == [1, 0, ""]
    assert rows.loc[("clean", "ood", "majority")].tolist() == [1, 0, ""]
    assert rows.loc[("clean", "ood", "lp")].tolist() == [0, 1, "emoji-domains"]
    assert rows.loc[("symmetric", "id", "lp")].tolist() == [0, 1, "handwritten-digits"]
    assert rows.loc[("untrained", "ood", "majority")].tolist() == [0, 1, "emoji-domains"]
    assert averages["value"].isna().eq(averages["cells"] == 0).all()
    matrix = pd.read_parquet(tables / "matrix.parquet")
    assert matrix["state"].value_counts().to_dict() == {"done": 6, "failed": 4, "missing": 2}


def test_a_whole_matrix_says_nothing_of_the_sort(capsys: pytest.CaptureFixture[str]) -> None:
    whole_matrix()
    write_text("docs/results.md", f"# An old page\n\n{KEPT}\n\nOne seed only.\n")
    main(["report", "--markdown", "docs/results.md"])
    assert "12 of 12 cells" in capsys.readouterr().out
    page = Path("docs/results.md").read_text()
    assert "nml report --config config.yaml --markdown docs/results.md" in page and "| C1" in page
    assert page.endswith(f"{KEPT}\n\nOne seed only.\n") and "An old page" not in page
    pictures = re.findall(r"\]\((figures/\w+\.png)\)", page)
    assert len(pictures) > 5 and all(Path("docs", picture).is_file() for picture in pictures)
    assert "not complete" not in Path("results/partial/report/index.html").read_text()
    assert (pd.read_parquet("results/partial/tables/averages.parquet")["missing"] == 0).all()


def test_a_page_of_another_kind_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    write_text("README.md", "# Mine\n")
    with pytest.raises(SystemExit):
        main(["report", "--markdown", "README.md"])
    assert "README.md is there already, and was not made by --markdown" in capsys.readouterr().err
    assert Path("README.md").read_text() == "# Mine\n" and not Path("results/partial").exists()


@pytest.mark.parametrize(
    "cells",
    [
        [(UNTRAINED, "handwritten-digits", "lp")],
        [(NOISY, "emoji-domains", "majority")],
    ],
)
def test_whatever_is_there_first_gives_a_page(cells: list[tuple[str, str, str]]) -> None:
    for cell in cells:
        make_encoder(cell[0], ())
        make_cell(*cell)
    main(["report"])
    assert f"{len(cells)} of 12 cells are there" in Path("results/partial/report/index.html").read_text()


def whole_matrix() -> None:
    for encoder in (CLEAN, NOISY, UNTRAINED):
        make_encoder(encoder)
        for task in TASKS:
            for method in ("lp", "majority"):
                make_cell(encoder, task, method)


def test_cells_of_another_machine_need_no_encoders() -> None:
    make_cell(CLEAN, "handwritten-digits", "lp")
    make_cell(NOISY, "handwritten-digits", "lp")
    main(["report"])
    assert len(pd.read_parquet("results/partial/tables/pretraining.parquet")) == 0
    assert len(pd.read_parquet("results/partial/tables/learning.parquet")) == 0


def overwrite_the_middle(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (".parquet", ""),
        (".predictions.parquet", ""),
        (".meta.json", '{"wall_seconds": '),
        (".meta.json", '{"spectra": {"test": {"sve": 1.0}}}'),
    ],
)
def test_one_damaged_file_costs_its_cell_alone(end: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole_matrix()
    cell = Path(cell_path(NOISY, "handwritten-digits", "lp"))
    if text:
        write_text(cell.with_suffix(end), text)
    else:
        overwrite_the_middle(cell.with_suffix(end))
    main(["report"])
    assert "11 of 12 cells" in capsys.readouterr().out
    matrix = pd.read_parquet("results/partial/tables/matrix.parquet").set_index("path")
    state, reason = matrix.loc[str(cell), ["state", "reason"]]
    assert state == "failed" and reason.startswith(f"{cell.with_suffix(end)} ") and "\n" not in reason


def test_a_cell_without_metadata_cannot_be_used() -> None:
    make_cell(NOISY, "handwritten-digits", "lp")
    cell = Path(cell_path(NOISY, "handwritten-digits", "lp"))
    assert problem_of(cell) == ""
    cell.with_suffix(".meta.json").unlink()
    assert problem_of(cell).startswith(f"{cell.with_suffix('.meta.json')} does not exist")


def spoil(cell: Path, how: str) -> None:
    """Make a cell a whole Parquet file with all columns, of which no average can be taken."""
    rows = pq.ParquetFile(cell).read()
    columns = {name: rows[name] for name in rows.column_names}
    changes = {
        "empty": {name: column[:0] for name, column in columns.items()},
        "another's": {"method": ["mlp"] * len(rows)},
        "text": {"value": ["half"] * len(rows)},
        "percent": {"value": [50.0] * len(rows)},
        "not a number": {"value": [float("nan")] * len(rows)},
        "no samples": {"n": [0] * len(rows)},
    }
    write_parquet(cell, columns | changes[how])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("empty", "has no rows"),
        ("another's", "has rows of another cell (method=mlp)"),
        ("text", "has no numbers in the columns value"),
        ("percent", "has a value outside [0, 1]"),
        ("not a number", "has a value outside [0, 1]"),
        ("no samples", "has a test set without samples (n < 1)"),
    ],
)
def test_a_cell_that_cannot_be_averaged_is_failed_and_named(how: str, said: str) -> None:
    """A page of these cells would say nothing of it, and the average would be thinner."""
    whole_matrix()
    cell = Path(cell_path(NOISY, "handwritten-digits", "lp"))
    spoil(cell, how)
    assert problem_of(cell) == f"{cell} {said}: delete it and rerun"
    states = {row["path"]: row["state"] for row in usable_cells(jobs_of(load_config("config.yaml")))}
    assert states.pop(str(cell)) == "failed" and set(states.values()) == {"done"} and len(states) == 11


@pytest.mark.parametrize("changes", [{"seed": [1, 1]}, {"test_set": []}])
def test_predictions_of_other_seeds_or_none_are_named(changes: dict[str, list]) -> None:
    whole_matrix()
    cell = Path(cell_path(NOISY, "handwritten-digits", "lp"))
    file = cell.with_suffix(".predictions.parquet")
    rows = pq.ParquetFile(file).read()
    count = len(next(iter(changes.values())))
    columns = {name: rows[name][:count] for name in rows.column_names}
    write_parquet(file, columns | changes)
    said = f"{file} is of other test sets, fractions or seeds than {cell}: delete both and rerun"
    assert problem_of(cell) == said


@pytest.mark.parametrize("name", ["spectrum", "meta.json", "log.csv"])
def test_a_damaged_spectrum_or_encoder_is_left_out_and_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole_matrix()
    path = spectrum_path(NOISY, "handwritten-digits") if name == "spectrum" else Path(encoder_dir(NOISY), name)
    Path(path).write_bytes(Path(path).read_bytes()[:20])
    main(["report"])
    shown = capsys.readouterr().out
    assert "12 of 12 cells" in shown
    assert f"1 spectra or descriptions of encoders are left out, first of all: {path} " in shown


def test_cells_of_an_untrained_encoder_that_failed_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    make_cell(CLEAN, "handwritten-digits", "lp")
    write_text("results/logs/initialise_encoder/emoji/small/s0.log", "initialise_encoder: no such model\n")
    main(["report"])
    reasons = pd.read_parquet("results/partial/tables/matrix.parquet").set_index("noise_kind")["reason"]
    assert set(reasons["untrained"]) == {"its encoder failed: initialise_encoder: no such model"}
    assert "Which and why: matrix.md" in capsys.readouterr().out


def test_an_empty_matrix_names_the_first_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    write_text(f"results/logs/tune/{CLEAN}/emoji-domains.log", "tune: no space left\n")
    with pytest.raises(SystemExit):
        main(["report"])
    error = capsys.readouterr().err
    assert "none of the 12 cells" in error and "2 failed" in error
    assert f"results/cells/{CLEAN}/emoji-domains/lp.parquet: tune: no space left (results/logs/tune/" in error
    assert not Path("results/partial").exists()


def test_methods_that_change_the_encoder_are_cells_too(capsys: pytest.CaptureFixture[str]) -> None:
    config = Path("config.yaml")
    config.write_text(config.read_text() + "  ft: {learning_rate: 0.001, epochs: 1, batch_size: 8}\n")
    write_text(f"results/logs/tune_encoder/{CLEAN}/emoji-domains/ft.log", "tune_encoder: out of memory\n")
    main(["status"])
    shown = capsys.readouterr().out
    assert "Cells: 0 done, 17 missing, 0 running, 1 failed, 0 stale" in shown
    assert "tune_encoder: out of memory" in shown
