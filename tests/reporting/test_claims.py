"""Claims are judged by the cells: planted effects, planted counter-effects, and what is missing."""

import numpy as np
import pandas as pd
import pytest

from nml.reporting.associations import spectrum_points
from nml.reporting.claims import CLAIMS, COLUMNS, claims_table
from nml.reporting.schema import CELL_NAME

from .frames import cell_rows, exact

PERCENTS = (0, 5, 10, 30)
SPECTRA = [*CELL_NAME[:6], "group", "test_set"]


def judge(
    rows: list[dict[str, object]],
    sve: float = 1.0,
    lsvr: dict[str, float] | None = None,
    absent: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Judge made-up cells; `sve` and `lsvr` (by recipe) are how the spectrum follows the accuracy."""
    cells = cell_rows(rows)
    probes = cells[cells["method"] == "lp"]
    spectra = probes.groupby(SPECTRA)["value"].mean().reset_index(name="level")
    slope = spectra["recipe"].map(lsvr or {}).astype(float).fillna(1.0)
    spectra = spectra.assign(n=9, dim=2, sve=sve * spectra["level"], lsvr=slope * spectra["level"])
    recipes = cells[["corpus", "recipe"]].drop_duplicates()
    pretraining = recipes.assign(architecture=recipes["recipe"], objective="supervised")
    return claims_table(cells, spectrum_points(cells, spectra.drop(columns="level")), pretraining, exact(cells), absent)


def study(
    id_gain: float = 0.0, ood_loss: float = 0.0, tuned: float = 0.0, seeds: int = 3, recipes: tuple[str, ...] = ("r",)
) -> list[dict[str, object]]:
    generator = np.random.default_rng(0)
    rows = []
    for recipe in recipes:
        for percent in PERCENTS:
            for seed in range(seeds):
                for task, group, effect in (("a", "id", id_gain), ("b", "id", id_gain), ("o", "ood", -ood_loss)):
                    place = {"recipe": recipe, "noise_kind": "symmetric" if percent else "clean", "task": task,
                             "noise_percent": float(percent), "pretrain_seed": seed, "group": group}  # fmt: skip
                    level = 0.5 + effect * (percent > 0) + generator.normal(0, 0.002)
                    gains = {"lp": 0.0, "mlp": 0.0, "nmtune": tuned}
                    rows += [
                        {**place, "method": method, "value": level + gain + generator.normal(0, 0.001)}
                        for method, gain in gains.items()
                    ]
    return rows


def verdict(table: pd.DataFrame, claim: str, part: str | None = None) -> str:
    own = table[table["claim"] == claim]
    row = own[own["level"] == "claim"] if part is None else own[own["part"] == part]
    return row["verdict"].iloc[0]


@pytest.fixture(scope="module")
def agreeing() -> pd.DataFrame:
    return judge(study(id_gain=0.02, ood_loss=0.05, tuned=0.02))


@pytest.fixture(scope="module")
def opposing() -> pd.DataFrame:
    return judge(study(id_gain=-0.02, ood_loss=-0.05, tuned=-0.02), sve=-1.0)


def test_every_claim_opens_its_parts(agreeing):
    assert list(agreeing) == list(COLUMNS)
    assert agreeing[agreeing["level"] == "claim"]["claim"].tolist() == list(CLAIMS)


def test_planted_effects_are_supported(agreeing):
    assert [verdict(agreeing, claim) for claim in ("C1", "C2", "C3")] == ["supported"] * 3
    row = agreeing[(agreeing["claim"] == "C1") & (agreeing["level"] == "claim")].iloc[0]
    assert row["estimate"] == pytest.approx(0.02, abs=0.003) and row["low"] > 0
    # Two tasks x (clean, 5 % and 10 %) x three seeds; 30 % is not slight.
    assert (row["cells"], row["pretrain_seeds"], row["missing"]) == (18, 3, "")


def test_planted_counter_effects_contradict(opposing):
    assert [verdict(opposing, claim) for claim in ("C1", "C2", "C3", "C4")] == ["contradicted"] * 4


def test_of_several_contradictions_the_surest_decides(opposing):
    own = opposing[(opposing["claim"] == "C4") & (opposing["verdict"] == "contradicted")].groupby("level")["p_holm"]
    assert own.min()["claim"] == own.min()["part"] < own.max()["part"]


def test_any_noise_means_every_ratio():
    rows = study(ood_loss=0.05)
    for row in rows:
        if row["noise_percent"] == 5 and row["group"] == "ood":
            row["value"] += 0.05
    table = judge(rows)
    found = table[(table["claim"] == "C2") & (table["level"] == "claim")].iloc[0]
    assert found["verdict"] == "undecided" and found["estimate"] == pytest.approx(0, abs=0.005)


def test_one_pretraining_seed_decides_nothing_about_noise_but_something_about_methods():
    table = judge(study(id_gain=0.05, ood_loss=0.05, tuned=0.02, seeds=1))
    for claim in ("C1", "C2"):
        row = table[(table["claim"] == claim) & (table["level"] == "claim")].iloc[0]
        assert row["verdict"] == "undecided" and "2 pre-training seeds" in row["missing"] and row["cells"] > 0
    assert verdict(table, "C4", "black-box, ID: NMTune minus LP") == "supported"


def test_what_the_matrix_lacks_is_named_with_no_cells(agreeing):
    parts = agreeing[(agreeing["claim"] == "C4") & agreeing["part"].str.contains("LoRA")]
    assert set(parts["verdict"]) == {"undecided"} and set(parts["cells"]) == {0}
    assert parts["missing"].str.contains("cells of lora and lora-nmtune").all()
    assert verdict(agreeing, "C4") == "undecided"
    corpora = agreeing[(agreeing["level"] == "part") & (agreeing["part"] == "C1 for all corpora (emoji)")].iloc[0]
    assert (corpora["verdict"], corpora["cells"], corpora["missing"]) == ("undecided", 0, "two or more corpora")


def test_agnostic_means_each_of_them():
    both = judge(study(0.02, 0.05, recipes=("r", "s")))
    assert verdict(both, "C5", "C1 for all architectures (r, s)") == "supported"
    rows = study(0.02, 0.05, recipes=("r", "s"))
    for row in rows:
        row["value"] -= 0.04 * (row["recipe"] == "s" and row["noise_percent"] > 0 and row["group"] == "id")
    assert verdict(judge(rows), "C5", "C1 for all architectures (r, s)") == "contradicted"


def test_recipes_of_opposite_sign_contradict_one_explanation():
    rows = study(0.02, 0.05, recipes=("r", "s"))
    table = judge(rows, lsvr={"r": 1.0, "s": -0.5})
    assert verdict(table, "C3", "LSVR, OOD") == "contradicted"
    assert verdict(table, "C3", "SVE, ID") == "supported"


def test_cells_that_are_absent_are_counted():
    rows = [row for row in study(0.02) if (row["task"], row["noise_percent"], row["pretrain_seed"]) != ("b", 5, 0)]
    table = judge(rows)
    row = table[(table["claim"] == "C1") & (table["level"] == "part")].iloc[0]
    assert row["missing"] == "1 of 18 cells"


def lost(*cells: dict[str, object]) -> pd.DataFrame:
    """Return absent cells of a symmetric 5 % encoder and linear probing on the ID task `b`, with changes."""
    usual = {"recipe": "r", "noise_kind": "symmetric", "noise_percent": 5.0, "task": "b", "pretrain_seed": 0}
    return cell_rows(usual | cell for cell in cells)[[*CELL_NAME, "group"]]


def part_of(table: pd.DataFrame, claim: str, level: str = "part") -> pd.Series:
    return table[(table["claim"] == claim) & (table["level"] == level)].iloc[0]


def test_absent_cells_leave_open_what_they_might_speak_against():
    rows = study(id_gain=0.02, ood_loss=0.05, tuned=0.02)
    table = judge(rows, absent=lost({"pretrain_seed": 3}))
    assert [verdict(table, claim) for claim in ("C1", "C2", "C3")] == ["undecided", "supported", "undecided"]
    assert part_of(table, "C1")["missing"] == part_of(table, "C1", "claim")["missing"] == "1 of 19 cells"
    assert part_of(table, "C1", "family")["verdict"] == "undecided"
    black_box = "black-box, {}: NMTune minus LP"
    assert verdict(table, "C4", black_box.format("ID")) == "undecided"
    assert verdict(table, "C4", black_box.format("OOD")) == "supported"


def test_absent_cells_do_not_undo_a_contradiction():
    rows = study(id_gain=-0.02)
    assert verdict(judge(rows, absent=lost({"pretrain_seed": 3})), "C1") == "contradicted"


def test_absent_cells_that_a_claim_is_not_about_change_nothing():
    rows = study(id_gain=0.02, ood_loss=0.05, tuned=0.02)
    elsewhere = lost({"noise_percent": 30.0, "pretrain_seed": 3}, {"noise_kind": "released", "noise_percent": 0.0},
                     {"noise_kind": "untrained", "noise_percent": 0.0}, {"method": "majority"})  # fmt: skip
    table = judge(rows, absent=elsewhere)
    assert (verdict(table, "C1"), part_of(table, "C1")["missing"]) == ("supported", "")
    assert (verdict(table, "C2"), part_of(table, "C2")["missing"]) == ("supported", "")
    # NMTune is judged at every noise ratio: of LP the cell at 30 % is absent, and none of NMTune.
    parts = table[table["level"] == "part"]
    nmtune = parts[parts["part"] == "black-box, ID: NMTune minus LP"].iloc[0]
    assert (nmtune["verdict"], nmtune["missing"]) == ("undecided", "1 of 37 cells")


def test_released_encoders_count_for_no_claim():
    rows = study(id_gain=0.02, ood_loss=0.05, tuned=0.02)
    clean = [row for row in rows if not row["noise_percent"] and not row["pretrain_seed"]]
    released = {"corpus": "zoo", "noise_kind": "released"}
    zoo = [{**row, **released, "recipe": model, "value": 0.1 + 0.3 * (row["method"] == "lp")}
           for model in ("m", "n", "o") for row in clean]  # fmt: skip
    pd.testing.assert_frame_equal(judge([*zoo, *rows]), judge(rows))
    assert set(judge(zoo)["verdict"]) == {"undecided"} and set(judge(zoo)["cells"]) == {0}


def test_a_family_lacks_only_its_own_cells():
    table = judge(study(0.02, 0.05, recipes=("r", "s")), absent=lost({"pretrain_seed": 3}))
    families = table[(table["claim"] == "C1") & (table["level"] == "family")].set_index("part")
    assert families["verdict"].to_dict() == {"emoji/r/symmetric": "undecided", "emoji/s/symmetric": "supported"}


def test_a_method_without_any_cell_leaves_open_whether_all_methods_agree():
    table = judge(study(0.02, 0.05), absent=lost({"method": "ft"}))
    parts = table[table["level"] == "part"]
    every_method = parts[parts["part"].str.startswith("C1 for all tuning methods")].iloc[0]
    assert (every_method["verdict"], every_method["missing"]) == ("undecided", "1 of 55 cells")


def test_without_noise_or_linear_probing_it_says_so():
    table = judge([{"method": "mlp"}])
    assert set(table["verdict"]) == {"undecided"} and set(table["cells"]) == {0}
    assert "linear probing on ID tasks" in table[table["claim"] == "C1"]["missing"].iloc[0]
