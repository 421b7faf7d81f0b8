from pathlib import Path

import pytest

from nml.reporting.captions import DEPENDENT, FIGURE_CAPTIONS, NOISE_CAPTION, TABLE_CAPTIONS, seeds_note
from nml.reporting.headline import main_table
from nml.reporting.labels import FIGURES, TABLES

from .frames import averages_of

REPORT = Path(__file__).parents[2] / "report"


def test_every_table_and_figure_has_a_caption():
    assert set(TABLE_CAPTIONS) == set(TABLES) and set(FIGURE_CAPTIONS) == set(FIGURES)


@pytest.mark.parametrize("name", [*TABLES, *FIGURES, "noise"])
def test_the_workflow_report_has_the_same_captions(name):
    text = " ".join((REPORT / f"{name}.rst").read_text().split())
    assert text == (TABLE_CAPTIONS | FIGURE_CAPTIONS | {"noise": NOISE_CAPTION})[name]


@pytest.mark.parametrize(
    ("pretraining", "tuning", "missing"),
    [(1, 1, ["pre-training", "tuning"]), (1, 2, ["pre-training"]), (2, 1, []), (2, 3, [])],
)
def test_the_note_names_the_seeds_and_the_luck_that_they_do_not_cover(pretraining, tuning, missing):
    seeds = [{"pretrain_seed": first, "seed": second} for first in range(pretraining) for second in range(tuning)]
    note = seeds_note(averages_of([*seeds, {"noise_kind": "untrained"}]))
    assert note.startswith(f"Pre-training seeds: {pretraining}; tuning seeds: {tuning}.")
    assert [luck for luck in ("pre-training", "tuning") if f"luck in {luck}" in note] == missing


def test_the_headline_says_of_ood_what_the_captions_say():
    assert DEPENDENT in " ".join(main_table(averages_of([{}])).split())
