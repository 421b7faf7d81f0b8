"""Released encoders in a configuration: what is taken, and what is refused before the first job."""

from typing import Any

import pytest

from nml.config.grid import encoders_of
from nml.config.load import check_config
from nml.errors import UserError

TIMM = {"library": "timm", "architecture": "resnet18"}
WRONG = {
    "neither": (TIMM, r"zoo\.own\.weights: neither weights nor pretrained is there"),
    "both": (TIMM | {"weights": "a.safetensors", "pretrained": "a1_in1k"}, r"zoo\.own\.weights: so is pretrained"),
    "a pickle": (TIMM | {"weights": "a.pth"}, r"zoo\.own\.weights: 'a\.pth' is no safetensors[\s\S]*save_file"),
    "a hub's pickle": (TIMM | {"weights": "pytorch_model.bin"}, r"zoo\.own\.weights: .*\n.*No pickle is loaded"),
    "torchvision's": (
        {"library": "torchvision", "architecture": "resnet18", "pretrained": "DEFAULT"},
        r"zoo\.own\.pretrained: torchvision publishes its weights as pickles alone",
    ),
    "a tag in the name": (
        {"library": "timm", "architecture": "resnet18.a1_in1k", "pretrained": "a1_in1k"},
        r"zoo\.own\.architecture: .*Did you mean architecture: resnet18 and pretrained: a1_in1k\?",
    ),
    "another library": (TIMM | {"library": "tim", "weights": "a.safetensors"}, r"zoo\.own\.library: 'tim' was given"),
    "a misspelt key": (TIMM | {"weight": "a.safetensors"}, r"the key 'weight' does not exist\. Did you mean 'weights'"),
    "no checksum": (TIMM | {"weights": "a.safetensors", "checksum": "md5:00"}, r"zoo\.own\.checksum: 'md5:00'"),
    "a crop above 1": (
        TIMM | {"weights": "a.safetensors", "preprocessing": {"crop": 1.1}},
        r"zoo\.own\.preprocessing\.crop: 1\.1 was given",
    ),
}


@pytest.mark.parametrize(("model", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused(values: dict[str, Any], model: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_config(values | {"zoo": {"own": model}})


def test_released_models_come_last_in_the_grid(values: dict[str, Any]) -> None:
    zoo = {name: TIMM | {"pretrained": "a1_in1k"} for name in ("own", "other")}
    encoders = encoders_of(check_config(values | {"zoo": zoo}))
    assert list(map(str, encoders[-2:])) == ["zoo/own/released/s0", "zoo/other/released/s0"]
    assert encoders[:-2] == encoders_of(check_config(values))


def test_released_models_are_enough(values: dict[str, Any]) -> None:
    del values["pretraining"]
    config = check_config(values | {"zoo": {"own": TIMM | {"weights": "models/own.safetensors"}}})
    assert list(map(str, encoders_of(config))) == ["zoo/own/released/s0"]
    assert config.zoo["own"].preprocessing.size is None


def test_some_encoder_must_be_asked_for(values: dict[str, Any]) -> None:
    del values["pretraining"]
    with pytest.raises(UserError, match=r"pretraining: no encoder is asked for\.\n.*or under zoo"):
        check_config(values)
