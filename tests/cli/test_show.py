"""Cells are shown and compared by their addresses."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml.artifacts import write_parquet
from nml.cli import main

CLEAN, NOISY = "emoji/small/clean/s0", "emoji/small/symmetric-20/s0"


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(list(words))
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def cells(make_cell: Callable) -> None:
    make_cell(CLEAN, "emoji-domains", "lp", 0.5)
    make_cell(NOISY, "emoji-domains", "lp", 0.25)
    make_cell(NOISY, "handwritten-digits", "lp")


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("name", [f"{NOISY}/emoji-domains/lp", f"results/cells/{NOISY}/emoji-domains/lp.parquet"])
def test_a_cell_is_shown_with_its_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = ask(capsys, "show", name)
    assert "25.00" in shown and "lp.meta.json" in shown
    assert f"snakemake --cores 1 --force results/cells/{NOISY}/emoji-domains/lp.parquet" in shown


@pytest.mark.usefixtures("cells")
def test_two_cells_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ask(capsys, "compare", f"{CLEAN}/emoji-domains/lp", f"{NOISY}/emoji-domains/lp")
    assert "+25.00" in shown


@pytest.mark.usefixtures("cells")
def test_compared_accuracies_are_over_the_seeds_of_both(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(f"results/cells/{CLEAN}/emoji-domains/lp.parquet")
    rows = pq.ParquetFile(path).read().to_pydict()
    write_parquet(path, {name: value * 2 for name, value in rows.items()} | {"seed": [0, 1], "value": [0.5, 0.9]})
    shown = ask(capsys, "compare", f"{CLEAN}/emoji-domains/lp", f"{NOISY}/emoji-domains/lp")
    assert re.search(r"50\.00 +25\.00 +\+25\.00", shown)


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "lp"], "is no cell"),
        (["show", f"{NOISY}/emoji-domains/mlp"], "does not exist. Make it: snakemake"),
        (["compare", f"{NOISY}/emoji-domains/lp", f"{NOISY}/handwritten-digits/lp"], "different tasks"),
        (["compare", f"{NOISY}/emoji-domains/lp", f"{NOISY}/emoji-domains/lp"], "with itself"),
        (["query", "tsk=x"], "did you mean 'task'?"),
        (["query", "task=x", "SELECT 1"], "as one argument"),
    ],
)
def test_wrong_words_are_explained(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refusal(capsys, *words)


@pytest.mark.usefixtures("cells")
def test_a_truncated_cell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(f"results/cells/{NOISY}/emoji-domains/lp.parquet")
    path.write_bytes(path.read_bytes()[:60])
    assert f"{path} cannot be read" in refusal(capsys, "show", f"{NOISY}/emoji-domains/lp")


@pytest.mark.usefixtures("cells")
def test_filters_ask_for_rows_of_cells(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ask(capsys, "query", "task=emoji-domains", "noise_percent=20").splitlines()
    assert len(lines) == 3 and "symmetric" in lines[2]


@pytest.mark.usefixtures("cells")
def test_damaged_metadata_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    path = f"results/cells/{NOISY}/emoji-domains/lp.meta.json"
    Path(path).write_text('{"wall_seconds": ')
    assert f"nml show: {path} cannot be read" in refusal(capsys, "show", f"{NOISY}/emoji-domains/lp")


@pytest.mark.usefixtures("cells")
def test_a_cell_of_another_version_of_the_schema_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(f"results/cells/{NOISY}/emoji-domains/lp.parquet")
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata({"nml_schema": "2"}), path)
    assert f"{path} has version 2 of the schema" in refusal(capsys, "show", f"{NOISY}/emoji-domains/lp")
