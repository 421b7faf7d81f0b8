"""What a method allows for its own hyper-parameters."""

import pytest

from nml import plugins


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
