"""The released encoders have a row each, and speak for no claim and in no figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nml.artifacts import write_json
from nml.grid import Encoder, encoder_dir
from nml.reporting.associations import spectrum_points
from nml.reporting.captions import seed_counts
from nml.reporting.claims import claims_table
from nml.reporting.differences import paired_differences
from nml.reporting.encoders import learning_table, pretraining_table
from nml.reporting.figures import draw_figures
from nml.reporting.layout.zoo import show_zoo
from nml.reporting.markdown import write_markdown
from nml.reporting.matrix import absent_of, complete_averages, count_missing_pairs, matrix_table
from nml.reporting.report import write_report
from nml.reporting.tables import build_tables, read_table
from nml.reporting.zoo import zoo_table

from .conftest import make_cell, make_spectrum
from .frames import averages_of, cell_rows, exact

RELEASED = {"corpus": "zoo", "recipe": "swin", "noise_kind": "released"}
LEVELS = {"lp": 0.5, "mlp": 0.55, "nmtune": 0.7}
PLACES = [("a", "id", "test"), ("b", "id", "test"), ("o", "ood", "near"), ("o", "ood", "far"), ("o", "source", "own")]
ABSENT = {"state": "missing", "reason": "", "log": ""}


def rows_of(about: dict[str, object], lift: float = 0.0) -> list[dict[str, object]]:
    shifts = {"a": 0.0, "b": 0.1, "near": 0.2, "far": -0.2, "own": 0.0}
    return [
        {**about, "task": task, "group": group, "test_set": test_set, "method": method, "seed": seed,
         "value": level + shifts[test_set if task == "o" else task] + lift}
        for task, group, test_set in PLACES for method, level in LEVELS.items() for seed in (0, 1)
    ]  # fmt: skip


def spectra_of(about: dict[str, object]) -> pd.DataFrame:
    place = cell_rows([about]).iloc[0][["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed"]].to_dict()
    values = {"a": (2.0, 1.0), "b": (4.0, 2.0), "o": (6.0, 3.0)}
    return pd.DataFrame(
        [
            {**place, "task": task, "group": group, "test_set": test_set, "n": 9, "dim": 2, "sve": values[task][0],
             "lsvr": values[task][1], "dominant_ratio": 0.5}
            for task, group, test_set in PLACES
        ]
    )  # fmt: skip


def table_of(rows: list[dict[str, object]], metas: list[Path], absent: list[dict[str, str]] | None = None):
    cells = cell_rows(rows)
    lacking = absent_of(matrix_table(cells, absent or []), cells)
    averages = complete_averages(averages_of(rows), lacking)
    differences = count_missing_pairs(paired_differences(cells, exact(cells)), lacking)
    return zoo_table(averages, differences, spectra_of(RELEASED), metas)


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    about = {"architecture": "timm/swin", "weights": {"tag": "ms_in22k", "file": "model.safetensors"}}
    write_json(tmp_path / "meta.json", {"address": "zoo/swin/released/s0"} | about)
    return tmp_path / "meta.json"


def test_a_row_has_the_averages_the_spectra_and_what_nmtune_gains(meta):
    table = table_of(rows_of(RELEASED) + rows_of({}, lift=0.1), [meta])
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["model"], row["architecture"], row["weights"]) == ("swin", "timm/swin", "ms_in22k")
    known = {"id_lp_value": 0.55, "id_nmtune_value": 0.75, "ood_lp_value": 0.5, "ood_mlp_value": 0.55}
    known |= {"id_lp_tasks": 2, "ood_lp_tasks": 2, "id_lp_missing": 0, "id_sve": 3.0, "id_lsvr": 1.5, "ood_sve": 6.0}
    known |= {"id_spectra": 2, "ood_spectra": 2, "id_nmtune-lp_difference": 0.2, "ood_nmtune-mlp_difference": 0.15}
    assert {name: pytest.approx(row[name]) for name in known} == known
    assert row["id_lp_low"] < 0.55 < row["id_lp_high"]
    assert not any("source" in name or "mlp-lp" in name for name in table)


def test_it_is_shown_in_percent_and_points(meta):
    shown = show_zoo(table_of(rows_of(RELEASED), [meta])).iloc[0]
    assert shown["ID LP"].startswith("55.0 ± ") and shown["OOD LP"].startswith("50.0 ± ")
    assert (shown["ID tasks"], shown["ID SVE"], shown["OOD LSVR"]) == ("2", "3.000", "3.000")
    assert shown["ID NMTune minus LP"].startswith("+20.0 [")
    assert list(shown.index).index("OOD LP") > list(shown.index).index("ID NMTune minus MLP")


def test_what_is_missing_is_counted_and_marked(meta):
    absent = [ABSENT | {"path": f"results/cells/zoo/{name}.parquet"} for name in ("swin/released/s0/c/lp",)]
    absent += [ABSENT | {"path": f"results/cells/zoo/none/released/s0/a/{method}.parquet"} for method in LEVELS]
    table = table_of(rows_of(RELEASED), [meta], absent).set_index("model")
    assert table.loc["swin", "id_lp_missing"] == 1 and table.loc["swin", "id_mlp_missing"] == 0
    assert table.loc["none", "id_lp_missing"] == 1 and np.isnan(table.loc["none", "id_lp_value"])
    shown = show_zoo(table.reset_index()).set_index("model")
    assert shown.loc["swin", "ID LP"].endswith("†") and not shown.loc["swin", "ID MLP"].endswith("†")
    assert (shown.loc["none", "ID LP"], shown.loc["none", "ID NMTune minus LP"]) == ("missing", "-")


def test_without_released_encoders_there_are_no_rows():
    cells = cell_rows(rows_of({}))
    lacking = absent_of(matrix_table(cells), cells)
    differences = count_missing_pairs(paired_differences(cells, exact(cells)), lacking)
    table = zoo_table(complete_averages(averages_of(rows_of({})), lacking), differences, spectra_of({}), [])
    assert table.empty and list(table) == ["model", "architecture", "weights"]
    assert show_zoo(table).empty


def test_released_encoders_change_no_claim_and_no_correlation():
    noisy = {"noise_kind": "symmetric", "noise_percent": 10.0}
    study = [row for seed in (0, 1) for about in ({}, noisy) for row in rows_of(about | {"pretrain_seed": seed})]

    def judged(rows):
        cells = cell_rows(rows)
        spectra = pd.concat([spectra_of(about) for about in ({}, noisy, RELEASED)])
        points = spectrum_points(cells, spectra)
        models = cells[["corpus", "recipe"]].drop_duplicates().assign(architecture="a", objective="supervised")
        return claims_table(cells, points, models, exact(cells))

    pd.testing.assert_frame_equal(judged(study + rows_of(RELEASED, lift=0.2)), judged(study))


def test_released_encoders_are_in_no_comparison_of_noise_ratios():
    cells = cell_rows(rows_of(RELEASED) + rows_of({}))
    differences = paired_differences(cells, exact(cells))
    assert set(differences["comparison"]) == {"method"}


def test_the_seeds_of_the_study_are_counted_without_them():
    rows = [row for seed in (0, 1, 2) for row in rows_of({"pretrain_seed": seed})] + rows_of(RELEASED)
    assert seed_counts(averages_of(rows))["pretrain_seeds"] == 3
    assert seed_counts(averages_of(rows_of(RELEASED)))["pretrain_seeds"] == 1


def test_they_are_not_among_the_pretrained_ones(meta):
    assert pretraining_table([meta]).empty
    assert learning_table([meta]).empty


def test_a_matrix_of_released_encoders_alone_is_reported(tmp_path, meta):
    encoder, generator = Encoder.released("swin"), np.random.default_rng(0)
    tasks, methods = ("task-00", "emoji-noto"), ("majority", "lp", "mlp", "nmtune")
    cells = [make_cell(tmp_path, encoder, task, method, generator) for task in tasks for method in methods]
    spectra = [make_spectrum(tmp_path, encoder, task, generator) for task in tasks]
    own = tmp_path / encoder_dir(encoder) / "meta.json"
    own.parent.mkdir(parents=True)
    own.write_bytes(meta.read_bytes())
    tables, figures = tmp_path / "tables", tmp_path / "figures"
    build_tables(cells, spectra, [own], tables)
    draw_figures(tables, figures)
    write_report(tables, figures, tmp_path / "index.html", "Released")
    write_markdown(tables, figures, tmp_path / "page.md", "Released", "nml report")
    assert read_table(tables, "zoo")["model"].tolist() == ["swin"]
    claims = read_table(tables, "claims")
    assert set(claims["verdict"]) == {"undecided"} and (claims["cells"] == 0).all()
    assert '<h2 id="zoo">Released encoders</h2>' in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "## Released encoders" in (tmp_path / "page.md").read_text(encoding="utf-8")
