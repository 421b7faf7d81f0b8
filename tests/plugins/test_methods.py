"""The tuning methods, as their files declare them."""

import subprocess
import sys
from pathlib import Path

import pytest

from nml import plugins
from nml.errors import UserError
from tests.plugins.examples import METHOD


def test_looking_at_methods_does_not_import_torch() -> None:
    code = (
        "import sys; from nml.tuning import registry; registry.complete('nmtune', {}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_paper_methods_are_there() -> None:
    methods = plugins.tuning_methods()
    assert {"majority", "lp", "mlp", "nmtune"} <= methods.keys()
    assert not methods["majority"].trained
    defaults = methods["nmtune"].parameters
    assert (defaults["weight"], defaults["k"], defaults["width"], defaults["depth"]) == (0.01, 1, 1.0, 2)
    released = methods["nmtune-released"].parameters
    factors = [released[name] for name in ("consistency", "covariance", "dominant_singular_value")]
    assert (factors, released["k"], released["width"]) == ([1.0, 0.04, 0.001], 5, 4.0)


def test_methods_that_change_the_encoder_have_what_goes_with_that() -> None:
    methods = plugins.tuning_methods()
    kinds = {"lp": "frozen", "ft": "full", "lora": "lora", "ft-nmtune": "full", "lora-nmtune": "lora"}
    assert {name: methods[name].encoder for name in kinds} == kinds
    assert "rank" in methods["lora"].parameters.keys() - methods["ft"].parameters.keys()
    assert methods["lora"].parameters["batch_norm"] == "frozen"
    # What a method declares itself goes before what all such methods have.
    assert methods["ft"].parameters["batch_norm"] == "trained"
    assert not {"precision", "rank"} & methods["nmtune"].parameters.keys()


def test_a_method_is_described_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "my_method.py").write_text(METHOD)
    (tmp_path / "_helper.py").write_text("")
    file = "nml/tuning/methods/my_method.py"
    spec = plugins.MethodSpec("my-method", True, "linear", {"weight": 0.5}, {"weight": (0, 1)}, file=file)
    assert plugins.read_methods(tmp_path) == {"my-method": spec}


def test_a_method_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "my_method.py"
    path.write_text(METHOD + 'PER_HEAD = ("weight",)\nVIEWS = 2\n')
    spec = plugins.tuning_method(str(path))
    assert (spec.parameters, spec.per_head, spec.views, spec.file) == ({"weight": 0.5}, ("weight",), 2, str(path))
    with pytest.raises(UserError, match=r"there is no file .*nowhere\.py"):
        plugins.tuning_method(str(tmp_path / "nowhere.py"))


def test_a_method_has_the_parameters_of_its_head(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text('TRAINED = True\nHEAD = "mlp"\nPARAMETERS = {"depth": 3}\n')
    spec = plugins.read_methods(tmp_path)["deep"]
    assert spec.parameters == {"width": 1.0, "depth": 3}
    assert spec.allowed("width") == "a number, at least 0.1"
    assert spec.declared_in == ("nml/tuning/heads/mlp.py",)


def test_what_methods_share_is_said_once(tmp_path: Path) -> None:
    """A declaration is laid over the one that it extends, and that over its own."""
    (tmp_path / "_terms.py").write_text('PARAMETERS = {"a": 1.0, "k": 1}\nBOUNDS = {"a": (0, None), "k": (1, None)}\n')
    (tmp_path / "_loss.py").write_text('EXTENDS = "_terms.py"\nPARAMETERS = {"b": 2.0}\nBOUNDS = {"a": (0, 5)}\n')
    (tmp_path / "one.py").write_text('EXTENDS = "_loss.py"\nTRAINED = True\nHEAD = "linear"\nPARAMETERS = {"k": 4}\n')
    spec = plugins.tuning_method(str(tmp_path / "one.py"))
    assert spec.parameters == {"a": 1.0, "k": 4, "b": 2.0}
    assert spec.bounds == {"a": (0, 5), "k": (1, None)}
    assert spec.declared_in == (str(tmp_path / "_terms.py"), str(tmp_path / "_loss.py"))


def test_what_a_method_extends_overrides_what_goes_with_its_head_and_encoder(tmp_path: Path) -> None:
    (tmp_path / "_shared.py").write_text('PARAMETERS = {"batch_norm": "trained", "flip": False}\n')
    own = 'EXTENDS = "_shared.py"\nTRAINED = True\nHEAD = "linear"\nENCODER = "full"\nPARAMETERS = {"flip": True}\n'
    (tmp_path / "one.py").write_text(own)
    parameters = plugins.tuning_method(str(tmp_path / "one.py")).parameters
    assert (parameters["batch_norm"], parameters["flip"], parameters["crop_scale"]) == ("trained", True, 0.8)


def test_nmtune_has_the_same_terms_on_heads_and_encoders() -> None:
    methods = plugins.tuning_methods()
    terms = ("weight", "consistency", "covariance", "dominant_singular_value", "k")
    for name in ("ft-nmtune", "lora-nmtune"):
        for part in ("parameters", "bounds"):
            own, of_heads = getattr(methods[name], part), getattr(methods["nmtune"], part)
            assert {key: own[key] for key in terms} == {key: of_heads[key] for key in terms}
    assert "weight" not in methods["nmtune-released"].parameters
    assert methods["nmtune-released"].bounds["k"] == (1, None)
