"""Addresses can be read and written, and paths are what the documentation promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nml.errors import UserError
from nml.grid import Encoder, Noise, TaskAddress, cell_path, encoder_dir, spectrum_path

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]*", fullmatch=True)
KINDS = st.from_regex(r"[a-z]([a-z-]*[a-z])?", fullmatch=True)
NOISES = st.one_of(
    st.just(Noise()),
    st.just(Noise("untrained")),
    st.just(Noise("released")),
    st.builds(Noise, KINDS, st.integers(1, 9999).map(lambda hundredths: hundredths / 100)),
)


@given(NOISES)
def test_a_noise_is_read_back_as_it_was_written(noise: Noise) -> None:
    assert Noise.parse(str(noise)) == noise


@given(NAMES, NAMES, NOISES, st.integers(0, 10**6))
def test_an_encoder_is_read_back_as_it_was_written(corpus: str, recipe: str, noise: Noise, seed: int) -> None:
    encoder = Encoder(corpus, recipe, noise, seed)
    assert Encoder.parse(str(encoder)) == encoder


@pytest.mark.parametrize(
    ("text", "kind", "percent"),
    [("clean", "clean", 0), ("symmetric-20", "symmetric", 20), ("pair-flip-2.5", "pair-flip", 2.5)],
)
def test_known_noises(text: str, kind: str, percent: float) -> None:
    noise = Noise.parse(text)
    assert (noise.kind, noise.percent, str(noise)) == (kind, percent, text)


@pytest.mark.parametrize("text", ["", "symmetric", "symmetric-0", "symmetric-100", "swap-120", "Symmetric-5", "-5"])
def test_what_is_no_noise_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not an address\. Allowed: .* for example 'symmetric-20'"):
        Noise.parse(text)


@given(
    st.builds(
        TaskAddress,
        NAMES,
        NOISES.filter(lambda noise: noise.kind not in ("untrained", "released")),
        st.integers(1, 100),
    )
)
def test_a_task_is_read_back_as_it_was_written(task: TaskAddress) -> None:
    assert TaskAddress.parse(str(task)) == task


def test_known_tasks() -> None:
    assert TaskAddress.parse("cifar10") == TaskAddress("cifar10", Noise(), 100)
    assert TaskAddress.parse("dtd+symmetric-2.5@10") == TaskAddress("dtd", Noise("symmetric", 2.5), 10)


@pytest.mark.parametrize(
    "text", ["", "a/b", "a+", "a+clean", "a+untrained", "a@", "a@0", "a@100", "a@2.5", "a@05", "a@10+symmetric-5", "+b"]
)
def test_what_is_no_task_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not <name>|is not an address"):
        TaskAddress.parse(text)


@pytest.mark.parametrize("address", ["", "emoji/resnet-mini/clean", "emoji/resnet-mini/clean/0", "a/b/c/clean/s0"])
def test_what_is_no_encoder_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="for example 'emoji/resnet-mini/symmetric-20/s0'"):
        Encoder.parse(address)


def test_paths() -> None:
    encoder = Encoder("emoji", "clip-mini", Noise("swap", 5), 1)
    assert str(encoder_dir(encoder)) == "results/encoders/emoji/clip-mini/swap-5/s1"
    assert str(cell_path(encoder, "fashion", "lp")) == "results/cells/emoji/clip-mini/swap-5/s1/fashion/lp.parquet"
    assert str(spectrum_path(encoder, "fashion")) == "results/spectra/emoji/clip-mini/swap-5/s1/fashion.parquet"
    assert cell_path(str(encoder), "fashion", "lp") == cell_path(encoder, "fashion", "lp")


def test_identity_has_the_columns_of_the_tables() -> None:
    assert Encoder("emoji", "clip-mini", Noise("swap", 5), 1).identity() == {
        "corpus": "emoji",
        "recipe": "clip-mini",
        "noise_kind": "swap",
        "noise_percent": 5.0,
        "pretrain_seed": 1,
    }


def test_the_address_of_a_released_model() -> None:
    encoder = Encoder.released("swin-large-in22k")
    assert str(encoder) == "zoo/swin-large-in22k/released/s0"
    assert Encoder.parse("zoo/swin-large-in22k/released/s0") == encoder
    assert encoder.identity() == {
        "corpus": "zoo",
        "recipe": "swin-large-in22k",
        "noise_kind": "released",
        "noise_percent": 0.0,
        "pretrain_seed": 0,
    }


def test_only_untrained_and_released_encoders_are_not_trained_here() -> None:
    assert not Encoder.released("own").is_trained
    assert Encoder("emoji", "clip-mini", Noise(), 0).is_trained
    assert not Encoder("emoji", "clip-mini", Noise("untrained"), 0).is_trained
