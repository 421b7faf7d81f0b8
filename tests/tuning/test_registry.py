"""Methods are found and described from their files, without torch."""

import subprocess
import sys

import pytest

from nml.errors import UserError
from nml.tuning import registry

METHOD = '"""A method."""\nTRAINED = True\nHEAD = "linear"\nPARAMETERS = {"weight": 0.5}\n'


def test_the_paper_methods_are_there():
    methods = registry.available()
    assert {"majority", "lp", "mlp", "nmtune"} <= methods.keys()
    assert not methods["majority"].trained
    assert methods["nmtune"] == registry.MethodSpec("nmtune", True, "mlp", {"weight": 0.01, "k": 1, "width": 1.0})


@pytest.mark.parametrize("name", registry.available())
def test_every_method_keeps_its_interface(name):
    module = registry.load(name)
    assert module.__doc__
    assert callable(module.loss if registry.describe(name).trained else module.scores)


def test_looking_at_methods_does_not_import_torch():
    code = "import sys; from nml.tuning import registry; registry.available(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_method_is_one_file_and_a_dash_in_its_name_an_underscore(tmp_path):
    (tmp_path / "my_method.py").write_text(METHOD)
    (tmp_path / "_helper.py").write_text("")
    assert registry.available(tmp_path) == {
        "my-method": registry.MethodSpec("my-method", True, "linear", {"weight": 0.5})
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TRAINED = True\n", "", "TRAINED"),
        ('{"weight": 0.5}', 'dict(weight="no literal")', "PARAMETERS"),
        ('"linear"', '"conv"', "allowed: constant, linear, mlp"),
        ('"linear"', '"constant"', "not trained"),
        ('"linear"', '"mlp"', "width"),
        ('"weight"', '"epochs"', "leave it out"),
    ],
)
def test_a_wrong_method_file_is_refused_with_its_name(tmp_path, old, new, message):
    (tmp_path / "wrong.py").write_text(METHOD.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        registry.available(tmp_path)
    assert "wrong.py" in str(caught.value)


def test_unknown_names_are_refused_with_the_nearest_known():
    with pytest.raises(UserError, match="did you mean 'nmtune'"):
        registry.load("nmtun")
    with pytest.raises(UserError, match="did you mean 'weight'"):
        registry.complete("nmtune", {"wieght": 1})


def test_given_parameters_replace_defaults():
    assert registry.complete("nmtune", {"k": 5}) == {"weight": 0.01, "k": 5, "width": 1.0}
