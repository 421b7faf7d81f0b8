"""Spectra of tuned features: what the metadata say, averaged over the same test sets, with the spread of seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from nml.artifacts import write_json
from nml.errors import UserError
from nml.grid import cell_path
from nml.reporting.layout.spectra import show_tuned_spectra
from nml.reporting.tuned_spectra import COLUMNS, average_tuned_spectra, tuned_spectra
from tests.reporting.frames import cell_rows


def spectra_rows(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Fill in what a test does not care about."""
    usual = {
        "corpus": "emoji", "recipe": "resnet-mini", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0,
        "task": "a", "method": "lp", "group": "id", "test_set": "test", "sve": 2.0, "lsvr": 1.0, "dominant_ratio": 0.4,
    }  # fmt: skip
    return pd.DataFrame([usual | row for row in rows])[COLUMNS]


def write_meta(root: Path, meta: object, address: str = "emoji/resnet-mini/symmetric-5/s1", method: str = "lp") -> Path:
    cell = root / cell_path(address, "a", method)
    write_json(cell.with_suffix(".meta.json"), meta)
    return cell


def test_rows_name_the_encoder_task_method_and_group(tmp_path):
    found = {"sve": 2.5, "lsvr": 1.5, "dominant_ratio": 0.25}
    cell = write_meta(tmp_path, {"spectra": {"test": found}})
    noise = {"noise_kind": "symmetric", "noise_percent": 5.0, "pretrain_seed": 1}
    table = tuned_spectra(cell_rows([noise]), [cell, write_meta(tmp_path, {}, method="majority")])
    assert table.to_dict("records") == spectra_rows([noise | found]).to_dict("records")


def test_cells_without_spectra_give_no_rows(tmp_path):
    table = tuned_spectra(cell_rows([{"method": "majority"}]), [write_meta(tmp_path, {}, method="majority")])
    assert list(table) == COLUMNS and table.empty
    assert average_tuned_spectra(table).empty and show_tuned_spectra(table).empty


@pytest.mark.parametrize("meta", [[], {"spectra": {"test": {"sve": 1.0}}}, {"spectra": {"test": 3}}])
def test_damaged_metadata_are_named(tmp_path, meta):
    with pytest.raises(UserError, match=r"lp\.meta\.json is no metadata of a cell"):
        tuned_spectra(cell_rows([{}]), [write_meta(tmp_path, meta)])


def test_absent_metadata_are_named(tmp_path):
    cell = write_meta(tmp_path, {})
    cell.with_suffix(".meta.json").unlink()
    with pytest.raises(UserError, match=r"lp\.meta\.json does not exist"):
        tuned_spectra(cell_rows([{}]), [cell])


def test_averages_are_over_the_test_sets_that_all_have():
    rows = [{"task": task, "sve": value} for task, value in (("a", 1.0), ("b", 3.0))]
    rows += [{"task": "a", "sve": 2.0, "method": "mlp"}]
    found = average_tuned_spectra(spectra_rows(rows)).set_index("method")
    assert found["value"].to_dict() == {"lp": 1.0, "mlp": 2.0}
    assert set(found["test_sets"]) == {1} and set(found["of"]) == {2}


def test_id_has_sve_and_ood_has_lsvr():
    found = average_tuned_spectra(spectra_rows([{"sve": 1.0}, {"group": "ood", "test_set": "far", "lsvr": 7.0}]))
    assert found.set_index("group")["value"].to_dict() == {"id": 1.0, "ood": 7.0}
    assert found["low"].isna().all()


def test_the_interval_is_of_the_pre_training_seeds():
    values = [1.0, 1.4, 1.7]
    found = average_tuned_spectra(spectra_rows([{"pretrain_seed": n, "sve": v} for n, v in enumerate(values)])).iloc[0]
    expected = ttest_1samp(values, 0).confidence_interval()
    np.testing.assert_allclose([found["low"], found["high"]], expected)
    assert found["value"] == pytest.approx(np.mean(values)) and found["pretrain_seeds"] == 3


def test_readers_see_a_column_for_each_noise_ratio():
    noisy = {"noise_kind": "symmetric", "noise_percent": 5.0}
    shown = show_tuned_spectra(spectra_rows([{}, noisy | {"sve": 2.5}, {"method": "nmtune"}])).set_index("method")
    assert shown.loc["LP", ["0 %", "5 %"]].to_list() == ["2.000", "2.500"]
    assert shown.loc["NMTune", ["0 %", "5 %"]].to_list() == ["2.000", ""]
