"""What the stages offer is learnt from their files, without importing them."""

from pathlib import Path

import pytest

from nml import plugins


def test_literals_are_read_and_the_rest_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(
        "import does_not_exist\n"
        "HEAD = 'mlp'\nPARAMETERS = {'weight': 0.01, 'k': -1}\nTRAINED = True\nEMPTY = {}\n"
        "lower = 1\nMixed = 2\nCALLED = open('nothing')\nSUM = 1 + len('ab')\nA, B = 1, 2\n"
        "def function():\n    INNER = 1\n"
    )
    assert plugins.read_literals(tmp_path / "plugin.py") == {
        "HEAD": "mlp",
        "PARAMETERS": {"weight": 0.01, "k": -1},
        "TRAINED": True,
        "EMPTY": {},
    }


def test_each_file_is_a_plugin_named_with_hyphens(tmp_path: Path) -> None:
    for name in ("pair_flip.py", "swap.py", "_private.py", "__init__.py", "notes.txt"):
        (tmp_path / name).write_text("CORRUPTS = 'labels'\n")
    assert plugins._declarations(tmp_path) == {"pair-flip": {"CORRUPTS": "labels"}, "swap": {"CORRUPTS": "labels"}}


@pytest.mark.parametrize(
    ("found", "names", "keys"),
    [
        (plugins.noise_kinds, {"symmetric", "swap"}, {"CORRUPTS"}),
        (plugins.tuning_methods, {"majority", "lp", "mlp", "nmtune"}, {"TRAINED", "HEAD", "PARAMETERS"}),
        (plugins.architectures, {"resnet-mini", "clip-mini"}, {"OBJECTIVE", "IMAGE_SIZE"}),
        (plugins.corpora, {"emoji"}, {"path", "train", "validation", "classes", "templates"}),
        (plugins.tasks, {"emoji-domains"}, {"path", "tests"}),
    ],
)
def test_every_plugin_declares_what_its_stage_needs(found: object, names: set[str], keys: set[str]) -> None:
    declared = found()
    assert names <= set(declared)
    for name, values in declared.items():
        assert keys <= set(values), name


def test_noise_kinds_corrupt_labels_or_captions() -> None:
    assert {declared["CORRUPTS"] for declared in plugins.noise_kinds().values()} <= {"labels", "captions"}


def test_test_sets_have_known_groups() -> None:
    groups = {group for task in plugins.tasks().values() for group in task["tests"].values()}
    assert groups <= {"id", "ood", "source"}
