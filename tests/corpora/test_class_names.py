"""Class names and groups are read from text or CSV; the embedded table agrees with the embedded data."""

from itertools import groupby
from pathlib import Path

import pytest

from nml import plugins
from nml.corpora.catalogue import groups_of, open_corpus
from nml.corpora.class_names import read_column, read_names
from nml.errors import UserError

TABLE = "label,name,kin\n0,tench,fish\n1,goldfish,fish\n2,crane,\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "classes.csv"
    path.write_text(TABLE)
    return path


def test_a_table_gives_names_and_the_group_of_each_class(table: Path) -> None:
    assert read_names(table) == ["tench", "goldfish", "crane"]
    assert read_column(table, "kin") == ["fish", "fish", ""]


def test_text_has_a_name_a_line(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("white shark\ncrane\n")
    assert read_names(tmp_path / "names.txt") == ["white shark", "crane"]


def test_a_column_that_is_not_there_is_named(table: Path) -> None:
    with pytest.raises(UserError, match=r"classes\.csv has no column 'overlap'"):
        read_column(table, "overlap")


def test_labels_out_of_order_are_refused(table: Path) -> None:
    table.write_text(TABLE.replace("1,gold", "3,gold"))
    with pytest.raises(UserError, match="must count 0 to 2"):
        read_names(table)


def test_the_embedded_corpus_names_its_classes_as_its_data_does() -> None:
    names = (Path(plugins.corpora()["emoji"]["path"]) / "classnames.txt").read_text().splitlines()
    assert open_corpus("emoji").class_names == names


def test_the_embedded_groups_are_those_of_unicode() -> None:
    groups = {kind: groups_of("emoji", kind) for kind in ("asymmetric", "hierarchical")}
    # The classes come in Unicode's order, so each of its groups lies together.
    assert [group for group, _ in groupby(groups["hierarchical"])] == [
        "smileys-emotion",
        "people-body",
        "animals-nature",
        "food-drink",
        "travel-places",
        "activities",
        "objects",
        "symbols",
    ]
    living = [group in ("animals-nature", "food-drink") for group in groups["hierarchical"]]
    assert groups["asymmetric"] == ["animals-food" if inside else "" for inside in living]
