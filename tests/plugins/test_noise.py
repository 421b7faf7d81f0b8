"""The kinds of noise, as their files declare them."""

from nml import plugins
from nml.grid import CLEAN, RELEASED, UNTRAINED, Noise


def test_noise_kinds_corrupt_labels_or_captions() -> None:
    assert {declared["CORRUPTS"] for declared in plugins.noise_kinds().values()} <= {"labels", "captions"}


def test_the_name_of_a_noise_kind_can_be_read_back_from_an_address() -> None:
    for name in plugins.noise_kinds():
        assert Noise.parse(str(Noise(name, 20))).kind == name


def test_no_kind_has_a_word_that_stands_for_encoders_without_one() -> None:
    assert not {CLEAN, UNTRAINED, RELEASED} & set(plugins.noise_kinds())
