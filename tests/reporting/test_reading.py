from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nml.errors import UserError
from nml.reporting.reading import read_cells, read_singular_values, read_spectra

from .frames import cell_rows


def write(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(path, index=False)
    return path


def test_cells_are_sorted_whatever_the_order_of_the_files(tmp_path):
    files = [write(tmp_path / f"{task}.parquet", cell_rows([{"task": task}])) for task in "ba"]
    forwards, backwards = read_cells(files), read_cells(files[::-1])
    assert forwards["task"].tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(forwards, backwards)


@pytest.mark.parametrize("read", [read_cells, read_spectra, read_singular_values])
def test_an_empty_list_says_what_is_missing(read):
    with pytest.raises(UserError, match="empty"):
        read([])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"1 of 1 files of cells do not exist(.|\n)*gone\.parquet"):
        read_cells([tmp_path / "gone.parquet"])


def test_a_file_that_is_no_cell_is_refused(tmp_path):
    cell = write(tmp_path / "a.parquet", cell_rows([{}]))
    other = write(tmp_path / "b.parquet", pd.DataFrame({"key": ["x"], "label": [1]}))
    for files in ([cell, other], [other]):
        with pytest.raises(UserError, match="cells cannot be read"):
            read_cells(files)
    (tmp_path / "c.parquet").write_text("not Parquet")
    with pytest.raises(UserError, match=r"c\.parquet"):
        read_cells([cell, tmp_path / "c.parquet"])


def test_a_cell_of_another_version_of_the_schema_is_named(tmp_path):
    files = [write(tmp_path / f"{task}.parquet", cell_rows([{"task": task}])) for task in "ab"]
    later = pq.ParquetFile(files[1]).read().replace_schema_metadata({"nml_schema": "2"})
    pq.write_table(later, files[1])
    with pytest.raises(UserError, match=r"b\.parquet has version 2 of the schema, and this nml reads version 1"):
        read_cells(files)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{}, {}], "same row"),
        ([{"value": 81.5}], "outside"),
        ([{"value": float("nan")}], "outside"),
        ([{"n": 0}], "no test samples"),
        ([], "no rows"),
    ],
)
def test_rows_that_cannot_be_averaged_are_refused(tmp_path, rows, problem):
    with pytest.raises(UserError, match=problem):
        read_cells([write(tmp_path / "cell.parquet", cell_rows(rows or [{}]).head(len(rows)))])


def test_singular_values_are_averaged_after_normalising_and_cut_to_the_shortest(tmp_path):
    noise = {"corpus": "emoji", "recipe": "r", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0}
    rows = [
        {**noise, "task": "a", "group": "id", "test_set": "t", "singular_values": [3.0, 1.0]},
        {**noise, "task": "b", "group": "id", "test_set": "t", "singular_values": [20.0, 10.0, 10.0]},
        {**noise, "task": "c", "group": "ood", "test_set": "t", "singular_values": [1.0, 0.0]},
    ]
    found = read_singular_values([write(tmp_path / "spectrum.parquet", pd.DataFrame(rows))])
    assert found["rank"].tolist() == [1, 2]
    assert found["share"].tolist() == pytest.approx([(0.75 + 0.5) / 2, (0.25 + 0.25) / 2])
    assert found["test_sets"].tolist() == [2, 2]


def test_a_test_set_with_several_pretraining_seeds_is_counted_once(tmp_path):
    noise = {"corpus": "emoji", "recipe": "r", "noise_kind": "clean", "noise_percent": 0.0}
    rows = [
        {**noise, "pretrain_seed": seed, "task": task, "group": "id", "test_set": "t", "singular_values": [3.0, 1.0]}
        for seed in (0, 1)
        for task in "ab"
    ]
    found = read_singular_values([write(tmp_path / "spectrum.parquet", pd.DataFrame(rows))])
    assert found["test_sets"].tolist() == [2, 2]
