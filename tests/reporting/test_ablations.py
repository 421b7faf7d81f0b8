import pandas as pd
import pytest

from nml.artifacts import write_json
from nml.errors import UserError
from nml.reporting.ablations import COLUMNS, Entry, ablations_table, method_entries
from nml.reporting.averages import fractions_table
from nml.reporting.layout.averages import show_fractions
from nml.reporting.layout.comparisons import show_ablations

from .frames import averages_of, cell_rows, exact

ENTRIES = {
    "lp": Entry("lp", {}),
    "nmtune": Entry("nmtune", {"weight": 0.01, "epochs": 30}),
    "nmtune-no-loss": Entry("nmtune", {"weight": 0.0, "epochs": 30}),
}


def study(gain: float) -> pd.DataFrame:
    values = {"lp": 0.5, "nmtune": 0.5, "nmtune-no-loss": 0.5 + gain}
    return cell_rows(
        {"task": task, "method": method, "noise_kind": kind, "noise_percent": percent, "seed": seed,
         "value": value + percent / 1000 + 0.001 * seed * (task == "a")}
        for task in "abc" for method, value in values.items() for seed in (0, 1)
        for kind, percent in (("clean", 0.0), ("symmetric", 10.0))
    )  # fmt: skip


def test_a_variant_is_compared_with_the_entry_of_the_methods_own_name():
    cells = study(0.03)
    table = ablations_table(cells, exact(cells), ENTRIES)
    assert list(table) == COLUMNS and len(table) == 1
    row = table.iloc[0]
    assert (row["method"], row["variant"], row["changed"]) == ("nmtune", "nmtune-no-loss", '{"weight": 0.0}')
    assert row["difference"] == pytest.approx(0.03) and row["value"] == pytest.approx(0.53 + 0.005 + 0.0005 / 3)
    assert row["units"] == 3 and row["cells"] == 12 and row["p_holm"] < 0.05
    shown = show_ablations(table).iloc[0]
    assert shown["difference"] == "+3.0 [+3.0, +3.0]" and shown["improved"] == "3 of 3"


def test_without_the_method_itself_the_first_variant_is_the_baseline():
    cells = study(0.03).replace({"method": {"nmtune": "nmtune-a"}})
    entries = {"nmtune-a": ENTRIES["nmtune"], "nmtune-no-loss": ENTRIES["nmtune-no-loss"]}
    table = ablations_table(cells, exact(cells), entries)
    assert table[["method", "variant"]].to_numpy().tolist() == [["nmtune-a", "nmtune-no-loss"]]


def test_a_method_without_cells_yet_does_not_leave_its_place_to_a_variant():
    cells = study(0.03).replace({"method": {"nmtune": "nmtune-a"}})
    entries = {"nmtune-a": ENTRIES["nmtune"], "nmtune-no-loss": ENTRIES["nmtune-no-loss"]}
    assert ablations_table(cells, exact(cells), entries, absent=["nmtune"]).empty
    assert len(ablations_table(cells, exact(cells), entries, absent=["lp"])) == 1
    assert len(ablations_table(study(0.03), exact(study(0.03)), ENTRIES, absent=["nmtune"])) == 1


def test_methods_without_variants_give_no_rows_but_a_table():
    cells = study(0.0)
    table = ablations_table(cells, exact(cells), {"lp": ENTRIES["lp"], "nmtune": ENTRIES["nmtune"]})
    assert list(table) == COLUMNS and table.empty and show_ablations(table).empty


def test_entries_are_read_from_the_metadata_of_one_cell_each(tmp_path):
    for name in ("nmtune", "nmtune-b", "lp"):
        (tmp_path / f"{name}.parquet").touch()
        write_json(tmp_path / f"{name}.meta.json", {})
    write_json(tmp_path / "nmtune-b.meta.json", {"method": "nmtune", "hyperparameters": {"weight": 1}})
    found = method_entries(list(tmp_path.glob("*.parquet")))
    assert found["nmtune-b"] == Entry("nmtune", {"weight": 1}) and found["lp"] == Entry("lp", {})
    (tmp_path / "lp.meta.json").write_text("[")
    with pytest.raises(UserError, match=r"lp\.meta\.json is no metadata"):
        method_entries(list(tmp_path.glob("*.parquet")))
    (tmp_path / "lp.meta.json").unlink()
    with pytest.raises(UserError, match=r"lp\.meta\.json does not exist"):
        method_entries(list(tmp_path.glob("*.parquet")))


def test_fractions_stand_side_by_side():
    rows = [{"fraction": part, "value": part / 200, "method": method, "n": 400}
            for part in (10, 50, 100) for method in ("lp", "majority")]  # fmt: skip
    averages = averages_of(rows).assign(missing=0)
    shown = show_fractions(fractions_table(averages))
    assert list(shown)[-3:] == ["10 %", "50 %", "100 %"] and len(shown) == 1
    assert shown["50 %"].item().startswith("25.0 ± ")
    assert fractions_table(averages[averages["fraction"] == 100]).empty
