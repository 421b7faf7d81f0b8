"""What all noise kinds share: how they are found, and how many samples a percent is."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nml.noise
from nml import plugins
from nml.noise.kinds._counts import count_of


@given(st.integers(0, 10**6), st.integers(0, 10**8))
def test_the_count_of_a_percent_is_exact(numerator: int, total: int) -> None:
    """In floating point, 29 % of 50 would be 14.499999999999998."""
    percent = numerator / 10**4
    assert count_of(percent / 100, total) == math.floor(Fraction(numerator, 10**6) * total + Fraction(1, 2))


@pytest.mark.parametrize(("percent", "total", "count"), [(29, 50, 15), (5, 10, 1), (0.5, 100, 1), (0.4, 100, 0)])
def test_halves_are_rounded_up(percent: float, total: int, count: int) -> None:
    assert count_of(percent / 100, total) == count


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**7))
def test_a_larger_ratio_counts_no_fewer(first: float, second: float, total: int) -> None:
    low, high = sorted((first, second))
    assert 0 <= count_of(low, total) <= count_of(high, total) <= total


def test_every_kind_is_a_function_of_its_name() -> None:
    for name in plugins.noise_kinds():
        assert callable(getattr(nml.noise, name.replace("-", "_")))


def test_what_is_no_kind_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"kinds: .*symmetric"):
        _ = nml.noise.symetric


def test_a_kind_that_lacks_a_dependency_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'gensim'")

    monkeypatch.setattr(nml.noise.importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match="gensim"):
        _ = nml.noise.symmetric
