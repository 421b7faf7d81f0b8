"""What is wrong with a method's file is said, with the file."""

from pathlib import Path

import pytest

from nml import plugins
from nml.errors import UserError
from tests.plugins.examples import METHOD


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TRAINED = True\n", "", "TRAINED"),
        ('{"weight": 0.5}', 'dict(weight="no literal")', "PARAMETERS"),
        ('"linear"', '"conv"', "allowed: linear, mlp, residual-mlp, own"),
        ("TRAINED = True", "TRAINED = False", "only trained methods have a head"),
        ("TRAINED", "EXTENDS = 3\nTRAINED", "EXTENDS = <a literal of type str>"),
        ("TRAINED", "EXTENDS = '_other.py'\nTRAINED", "EXTENDS names _other.py, and there is no such file beside it"),
        ("TRAINED", 'PER_HEAD = ("k",)\nTRAINED', "PER_HEAD names k, which PARAMETERS has not"),
        ("TRAINED", 'PER_HEAD = "weight"\nTRAINED', "PER_HEAD = <a literal of type tuple>"),
        ("TRAINED", "VIEWS = 3\nTRAINED", "VIEWS is 3; allowed: 1 or 2"),
        ('"weight"', '"epochs"', "leave it out"),
        ("0.5", '"half"', "must be a finite number"),
        ("0.5", "True", "must be a finite number"),
        ("0.5", "2", "the default 2, and BOUNDS allows a whole number, at least 0, at most 1"),
        ("(0, 1)", "0", "BOUNDS must give"),
        ("(0, 1)", '(0, "one")', "BOUNDS must give"),
        ("BOUNDS = {", 'BOUNDS = {"k": (1, None), ', "BOUNDS must give"),
        ("TRAINED", "TRAINED =", "cannot be read as Python"),
        ("TRAINED", "ENCODER = 'half'\nTRAINED", "allowed: frozen, full, lora"),
        ('HEAD = "linear"', "HEAD = 'mlp'\nENCODER = 'full'", "a tuned encoder has a 'linear' head"),
        ("TRAINED", "ENCODER = 'full'\nVIEWS = 2\nTRAINED", "a tuned encoder sees one view"),
        ("TRAINED", "ENCODER = 'lora'\nPER_HEAD = ('weight',)\nTRAINED", "encoders are tuned one by one"),
        ("TRAINED", "CHOICES = []\nTRAINED", "CHOICES = <a literal of type dict>"),
        ("TRAINED", "CHOICES = {'weight': ('a', 'b')}\nTRAINED", "BOUNDS allows one of a, b"),
        ("TRAINED", "CHOICES = {'weight': 3}\nTRAINED", "CHOICES must give own parameters their words"),
        ("TRAINED", "CHOICES = {'weight': ()}\nTRAINED", "CHOICES must give own parameters their words"),
        ("TRAINED", "CHOICES = {'other': ('a',)}\nTRAINED", "CHOICES must give own parameters their words"),
        ('"linear"', '["linear"]', "HEAD = <a literal of type str>"),
        ("TRAINED", "ENCODER = ['full']\nTRAINED", "ENCODER = <a literal of type str>"),
        ("TRAINED", "EXTENDS: str = '_other.py'\nTRAINED", "EXTENDS = <a literal of type str>"),
        ("TRAINED", "EXTENDS = '_' + 'other.py'\nTRAINED", "EXTENDS = <a literal of type str>"),
        ("TRAINED", "EXTENDS = 'wrong.py'\nTRAINED", "Leave a line out"),
    ],
)
def test_a_wrong_method_file_is_refused_with_its_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "wrong.py").write_text(METHOD.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        plugins.read_methods(tmp_path)
    assert str(tmp_path / "wrong.py") in str(caught.value)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("EXTENDS = '_nowhere.py'", "_second.py: EXTENDS names _nowhere.py, and there is no such file"),
        ("EXTENDS = '_first.py'", "_second.py: EXTENDS names _first.py, which extends this file"),
        ("EXTENDS = 3", "_second.py: it needs a line EXTENDS = <a literal of type str>"),
        ("EXTENDS: str = '_first.py'", "_second.py: it needs a line EXTENDS = <a literal of type str>"),
        ("PARAMETERS = [1]", "_second.py: it needs a line PARAMETERS = <a literal of type dict>"),
        ("PARAMETERS = {[]: 1}", "_second.py: it needs a line PARAMETERS = <a literal of type dict>"),
        ("CHOICES = {'a': 3}", "wrong.py: CHOICES must give own parameters their words"),
        ("PARAMETERS =", "_second.py cannot be read as Python"),
    ],
)
def test_what_is_wrong_with_a_file_that_is_extended_is_said_with_its_name(
    tmp_path: Path, second: str, message: str
) -> None:
    (tmp_path / "wrong.py").write_text(METHOD.replace("TRAINED", "EXTENDS = '_first.py'\nTRAINED"))
    (tmp_path / "_first.py").write_text("EXTENDS = '_second.py'\n")
    (tmp_path / "_second.py").write_text(second)
    with pytest.raises(UserError, match=message):
        plugins.read_methods(tmp_path)
