"""Declarations are read from files without importing them, and wrong ones are refused with the file's name."""

from pathlib import Path

import pytest

from nml import plugins
from nml.errors import UserError
from nml.plugins.declarations import read_declarations
from nml.plugins.noise import noise_kind_problem
from nml.plugins.pretraining import architecture_problem

TAKEN = ("clean", "untrained", "released")


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
        (tmp_path / name).write_text("CORRUPTS = 'labels'\nDEFINITION = 1\n")
    found = read_declarations(tmp_path, noise_kind_problem)
    assert set(found) == {"pair-flip", "swap"}
    assert all(literals == {"CORRUPTS": "labels", "DEFINITION": 1} for literals in found.values())


@pytest.mark.parametrize(
    ("file", "problem", "text"),
    [
        ("Swap.py", noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1"),
        ("swap__two.py", noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1"),
        ("swap_2.py", noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1"),
        *((f"{name}.py", noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1") for name in TAKEN),
        ("swap.py", noise_kind_problem, "CORRUPTS = 'pixels'; DEFINITION = 1"),
        ("swap.py", noise_kind_problem, "CORRUPTS = 'labels'"),
        ("swap.py", noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1; GROUPS = 'no'"),
        ("swap.py", noise_kind_problem, ""),
        ("net.py", architecture_problem, "OBJECTIVE = 'none'\nIMAGE_SIZE = 32"),
        ("net.py", architecture_problem, "OBJECTIVE = 'supervised'"),
    ],
)
def test_a_wrong_plugin_file_is_refused_with_its_name(tmp_path: Path, file: str, problem: object, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError) as caught:
        read_declarations(tmp_path, problem)
    assert str(tmp_path / file) in str(caught.value)
