"""The encoders that a configuration asks for."""

from typing import Any

from nml.config.grid import encoders_of, pictured_noises
from nml.config.load import check_config


def test_every_noise_and_seed_has_an_encoder_and_every_recipe_an_untrained_control(values: dict[str, Any]) -> None:
    assert list(map(str, encoders_of(check_config(values)))) == [
        "emoji/resnet-mini/clean/s0",
        "emoji/resnet-mini/clean/s1",
        "emoji/resnet-mini/symmetric-5/s0",
        "emoji/resnet-mini/symmetric-5/s1",
        "emoji/resnet-mini/symmetric-20/s0",
        "emoji/resnet-mini/symmetric-20/s1",
        "emoji/clip-mini/clean/s0",
        "emoji/clip-mini/swap-20/s0",
        "emoji/resnet-mini/untrained/s0",
        "emoji/resnet-mini/untrained/s1",
        "emoji/clip-mini/untrained/s0",
    ]


def test_families_of_one_corpus_and_recipe_share_the_clean_encoder(values: dict[str, Any]) -> None:
    values["pretraining"] = [
        {"corpus": "emoji", "recipe": "resnet-mini", "noise": {"symmetric": [percent]}} for percent in (5, 20)
    ]
    encoders = list(map(str, encoders_of(check_config(values))))
    assert len(set(encoders)) == len(encoders) == 4


def test_the_highest_percent_of_each_kind_is_pictured(values: dict[str, Any]) -> None:
    values["pretraining"].append({"corpus": "emoji", "recipe": "resnet-mini", "noise": {"symmetric": [10]}})
    noises = [f"{corpus}/{noise}" for corpus, noise in pictured_noises(check_config(values))]
    assert noises == ["emoji/swap-20", "emoji/symmetric-20"]
