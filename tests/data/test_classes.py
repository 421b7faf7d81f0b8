"""ImageNet-1K's class table: it is what the extract gives, and classes overlap CIFAR-100 by meaning, not by name."""

import csv
import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CLASSES = ROOT / "data" / "classes"
TABLE = ROOT / "nml" / "corpora" / "classes" / "imagenet1k.csv"
# What every sense in a superclass of CIFAR-100 is a kind of: its synset.
KINDS = {
    "aquatic_mammals": "n01861778",  # mammal
    "fish": "n02512053",  # fish
    "flowers": "n00017222",  # plant
    "food_containers": "n00021939",  # artifact
    "fruit_and_vegetables": "n07555863",  # solid food
    "household_electrical_devices": "n00021939",
    "household_furniture": "n03405725",  # furniture
    "insects": "n00015388",  # animal: a caterpillar is a larva
    "large_carnivores": "n02075296",  # carnivore
    "large_man-made_outdoor_things": "n00021939",
    "large_natural_outdoor_scenes": "n00001930",  # physical entity
    "large_omnivores_and_herbivores": "n01861778",
    "medium_mammals": "n01861778",
    "non-insect_invertebrates": "n01905661",  # invertebrate
    "people": "n00007846",  # person
    "reptiles": "n01661091",  # reptile
    "small_mammals": "n01861778",
    "trees": "n13104059",  # tree
    "vehicles_1": "n03100490",  # conveyance
    "vehicles_2": "n00021939",
}


@cache
def build() -> ModuleType:
    """Return the build script as a module."""
    spec = importlib.util.spec_from_file_location("build_classes", CLASSES / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@cache
def parents() -> dict[str, list[str]]:
    """Return wnid -> direct hypernyms, of the extract."""
    return {row["wnid"]: re.findall(r"n\d{8}", row["hypernyms"]) for row in read(CLASSES / "wordnet-nouns.csv")}


def up(wnid: str) -> set[str]:
    """Return the synset and all above it, by another walk than the builder's."""
    return {wnid}.union(*(up(parent) for parent in parents()[wnid]))


@cache
def rows() -> dict[str, dict[str, str]]:
    """Return wnid -> row of the class table."""
    return {row["wnid"]: row for row in read(TABLE)}


@cache
def senses() -> dict[str, str]:
    """Return CIFAR-100 class -> wnid."""
    return {row["name"]: row["wnid"] for row in read(CLASSES / "cifar100-synsets.csv")}


def test_the_table_is_what_the_committed_extract_gives() -> None:
    table = build().table(build().read_nouns(), build().read_senses(), build().imagenet_wnids())
    text = build().to_csv("label wnid name cifar100 overlap hypernym", table)
    assert text.encode() == TABLE.read_bytes()


def test_the_table_has_the_thousand_classes_in_label_order() -> None:
    table = read(TABLE)
    assert [row["label"] for row in table] == [str(label) for label in range(1000)]
    assert [row["wnid"] for row in table] == build().imagenet_wnids()
    assert {row["overlap"] for row in table} == {"", "cifar100"}
    assert all((row["overlap"] == "cifar100") == bool(row["cifar100"]) for row in table)


@pytest.mark.parametrize(
    ("wnid", "name", "cifar"),
    [
        ("n02129165", "lion", "lion"),
        ("n07742313", "Granny Smith", "apple"),
        ("n01443537", "goldfish", "aquarium_fish"),
        ("n01498041", "stingray", "ray"),
        ("n02165456", "ladybug", "beetle"),
        ("n02071294", "killer whale", "dolphin"),
        ("n02066245", "grey whale", "whale"),
        ("n03982430", "pool table", "table"),
        ("n04263257", "soup bowl", "bowl"),
        ("n04389033", "tank", "tank"),
        ("n04146614", "school bus", "bus"),
        ("n07720875", "bell pepper", "sweet_pepper"),
        ("n01440764", "tench", ""),
        ("n02106662", "German shepherd", ""),
        ("n02123045", "tabby", ""),
        ("n03793489", "mouse", ""),
        ("n07930864", "cup", ""),
        ("n07579787", "plate", ""),
        ("n04404412", "television", ""),
        ("n07760859", "custard apple", ""),
        ("n03201208", "dining table", ""),
        ("n04275548", "spider web", ""),
    ],
)
def test_known_classes_overlap_what_they_mean(wnid: str, name: str, cifar: str) -> None:
    assert (rows()[wnid]["name"], rows()[wnid]["cifar100"]) == (name, cifar)


def test_a_class_overlaps_if_and_only_if_a_cifar_synset_is_above_it() -> None:
    for wnid, row in rows().items():
        above = {name for name, sense in senses().items() if sense in up(wnid)}
        assert row["cifar100"] in above if above else not row["cifar100"]


def test_the_numbers_in_the_readme_are_those_of_the_table() -> None:
    overlap = Counter(row["cifar100"] for row in rows().values() if row["cifar100"])
    groups = [count for count in Counter(row["hypernym"] for row in rows().values()).values() if count > 1]
    text = " ".join((CLASSES / "README.md").read_text(encoding="utf-8").split())
    assert f"{overlap.total()} classes overlap {len(overlap)} classes of CIFAR-100." in text
    assert f"{len(groups)} hypernyms have two or more classes, {sum(groups)} classes in all;" in text


def test_the_hypernym_is_a_direct_one_with_the_most_classes_below() -> None:
    below = Counter(synset for wnid in rows() for synset in up(wnid))
    for wnid, row in rows().items():
        assert row["hypernym"] in parents()[wnid]
        assert all(below[row["hypernym"]] >= below[other] for other in parents()[wnid])
    assert rows()["n01440764"]["hypernym"] == rows()["n01443537"]["hypernym"] == "n01439121"  # cyprinids
    assert rows()["n03793489"]["hypernym"] == "n03277771"  # electronic devices


def test_the_extract_is_closed_and_ends_in_entity() -> None:
    assert set().union(*parents().values()) <= set(parents())
    assert [wnid for wnid, above in parents().items() if not above] == ["n00001740"]
    assert list(parents()) == sorted(parents())


def test_each_cifar_class_has_one_sense_that_bears_its_name() -> None:
    lemmas = {row["wnid"]: row["lemmas"].lower().split(";") for row in read(CLASSES / "wordnet-nouns.csv")}
    assert list(senses()) == sorted(senses())
    assert len(senses()) == len(set(senses().values())) == 100
    unnamed = [name for name, wnid in senses().items() if not {name, name.removesuffix("_tree")} & set(lemmas[wnid])]
    assert unnamed == ["aquarium_fish"]


def test_each_cifar_class_means_a_kind_of_its_superclass() -> None:
    table = read(CLASSES / "cifar100-synsets.csv")
    assert Counter(row["superclass"] for row in table) == dict.fromkeys(KINDS, 5)
    assert [row["name"] for row in table if KINDS[row["superclass"]] not in up(row["wnid"])] == []


def test_a_noun_is_read_with_its_words_and_both_kinds_of_hypernym() -> None:
    head = "  licence\n" * build().LICENCE_LINES
    line = "00000010 05 n 02 a_b 0 c 1 003 @ 00000020 n 0000 ~ 00000030 n 0000 @i 00000040 n 0000 | gloss | more  \n"
    assert build().parse_nouns(head + line) == {"n00000010": (["a_b", "c"], ["n00000020", "n00000040"])}


def test_of_several_cifar_classes_the_nearest_counts_and_ties_go_by_name() -> None:
    above = {"a": ["b", "c"], "b": ["d"], "c": [], "d": []}
    nouns = {wnid: build().Synset([wnid], hypernyms) for wnid, hypernyms in above.items()}
    assert build().overlapping(nouns, {"b": "y", "c": "x", "d": "a"}, "a") == "x"
    assert build().overlapping(nouns, {"d": "z"}, "a") == "z"
    assert build().overlapping(nouns, {"d": "z"}, "c") == ""
