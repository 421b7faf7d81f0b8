"""A method's code is found by its name, and its hyper-parameters are completed and checked."""

import pytest

from nml import plugins
from nml.errors import UserError
from nml.tuning import registry


@pytest.mark.parametrize("name", plugins.tuning_methods())
def test_every_method_keeps_its_interface(name):
    module = registry.load(name)
    assert module.__doc__
    assert callable(module.loss if plugins.tuning_method(name).trained else module.fit)


def test_unknown_names_are_refused_with_the_nearest_known():
    with pytest.raises(UserError, match="did you mean 'nmtune'"):
        registry.load("nmtun")
    with pytest.raises(UserError, match="did you mean 'weight'"):
        registry.complete("nmtune", {"wieght": 1})


def test_a_gradient_in_the_logits_needs_a_linear_head(tmp_path):
    file = tmp_path / "bent.py"
    file.write_text('''"""A method."""
TRAINED = True
HEAD = "mlp"
PARAMETERS = {}
def loss(batch, parameters): ...
def logit_gradient(batch, parameters): ...
''')
    with pytest.raises(UserError, match=r"bent\.py: HEAD is 'mlp'; only a method with a 'linear' head"):
        registry.load(str(file))


def test_given_parameters_replace_defaults():
    assert registry.complete("nmtune-released", {"k": 1})["k"] == 1
    assert registry.complete("mlp", {"width": 2}) == {"width": 2, "depth": 2}


@pytest.mark.parametrize(
    ("given", "allowed"), [({"k": 0}, "a whole number, at least 1"), ({"weight": "1"}, "a number")]
)
def test_values_that_a_method_does_not_allow_are_refused(given, allowed):
    with pytest.raises(UserError, match=f"method 'nmtune': .* it must be {allowed}"):
        registry.complete("nmtune", given)
