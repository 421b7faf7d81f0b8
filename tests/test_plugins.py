"""What the stages offer is learnt from their files, without importing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from nml import plugins
from nml.errors import UserError
from nml.grid import Noise

ROOT = Path(__file__).parents[1]
METHOD = '"""A method."""\nTRAINED = True\nHEAD = "linear"\nPARAMETERS = {"weight": 0.5}\nBOUNDS = {"weight": (0, 1)}\n'


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
    found = plugins._declarations(tmp_path, plugins._noise_kind_problem)
    assert set(found) == {"pair-flip", "swap"}
    assert all(literals == {"CORRUPTS": "labels", "DEFINITION": 1} for literals in found.values())


@pytest.mark.parametrize(
    ("found", "names", "keys"),
    [
        (plugins.noise_kinds, {"symmetric", "swap"}, {"CORRUPTS", "DEFINITION"}),
        (plugins.architectures, {"resnet-mini", "clip-mini"}, {"OBJECTIVE", "IMAGE_SIZE"}),
        (plugins.corpora, {"emoji"}, {"has", "source", "licence", "access", "samples", "size"}),
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
    groups = {group for task in plugins.tasks().values() for group in task.tests.values()}
    assert groups == {"id", "ood", "source", "robustness"}


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


def test_the_files_of_plugins_are_found_by_their_names() -> None:
    assert plugins.source_file("tuning/methods", "lora-nmtune") == "nml/tuning/methods/lora_nmtune.py"
    assert plugins.module_name("tuning/methods", "lora-nmtune") == "nml.tuning.methods.lora_nmtune"
    folders = {
        plugins.METHODS: plugins.tuning_methods(),
        plugins.NOISE_KINDS: plugins.noise_kinds(),
        plugins.ARCHITECTURES: plugins.architectures(),
    }
    for folder, names in folders.items():
        assert all((ROOT / plugins.source_file(folder, name)).is_file() for name in names)


def test_the_name_of_a_noise_kind_can_be_read_back_from_an_address() -> None:
    for name in plugins.noise_kinds():
        assert Noise.parse(str(Noise(name, 20))).kind == name


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TRAINED = True\n", "", "TRAINED"),
        ('{"weight": 0.5}', 'dict(weight="no literal")', "PARAMETERS"),
        ('"linear"', '"conv"', "allowed: linear, mlp, residual-mlp, own"),
        ("TRAINED = True", "TRAINED = False", "only trained methods have a head"),
        ('"linear"', '"mlp"', "width"),
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
    ],
)
def test_a_wrong_method_file_is_refused_with_its_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "wrong.py").write_text(METHOD.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        plugins.read_methods(tmp_path)
    assert str(tmp_path / "wrong.py") in str(caught.value)


@pytest.mark.parametrize(
    ("file", "problem", "text"),
    [
        ("Swap.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'"),
        ("swap__two.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'"),
        ("swap_2.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'"),
        ("clean.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'"),
        ("swap.py", plugins._noise_kind_problem, "CORRUPTS = 'pixels'"),
        ("swap.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'"),
        ("swap.py", plugins._noise_kind_problem, "CORRUPTS = 'labels'; DEFINITION = 1; GROUPS = 'no'"),
        ("swap.py", plugins._noise_kind_problem, ""),
        ("net.py", plugins._architecture_problem, "OBJECTIVE = 'none'\nIMAGE_SIZE = 32"),
        ("net.py", plugins._architecture_problem, "OBJECTIVE = 'supervised'"),
    ],
)
def test_a_wrong_plugin_file_is_refused_with_its_name(tmp_path: Path, file: str, problem: object, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError) as caught:
        plugins._declarations(tmp_path, problem)
    assert str(tmp_path / file) in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "right", "wrong"),
    [
        ("whole", [1, 10, 3], [0, 11, 1.5, 2.0, True, "2", None, [1]]),
        ("real", [0, 0.0, 7, 1e300], [-1, float("inf"), float("nan"), False, "0.5"]),
        ("free", [-5, 5.5], [float("-inf"), True]),
        ("switch", [True, False], [0, 1, "true", None]),
        ("word", ["a", "b"], ["c", 0, True, ["a"]]),
    ],
)
def test_a_parameter_keeps_its_kind_and_its_bounds(parameter: str, right: list, wrong: list) -> None:
    parameters = {"whole": 2, "real": 0.5, "free": 0.0, "switch": False, "word": "a"}
    bounds = {"whole": (1, 10), "real": (0, None)}
    spec = plugins.MethodSpec("x", True, "linear", parameters, bounds, choices={"word": ("a", "b")})
    assert all(spec.accepts(parameter, value) for value in right)
    assert not any(spec.accepts(parameter, value) for value in wrong)
