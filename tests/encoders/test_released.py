"""Released encoders become checkpoints of ours, with the features that their own library gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from open_clip import factory
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save, save_file
from torch import nn

from nml import downloads, encoders
from nml.artifacts import read_json, sha256_file
from nml.config.zoo import ReleasedModel
from nml.encoders import released
from nml.encoders.export import export
from nml.encoders.released import import_released, preprocessing_of
from nml.encoders.released_sources import HubFile, source_of
from nml.errors import UserError
from nml.grid import Encoder, encoder_dir
from nml.pretraining import checkpoints
from nml.pretraining.inputs import input_transform
from tests.full_disk import no_space
from tests.loopback import Server

TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
VIT = {"library": "timm", "architecture": "test_vit", "weights": "own.safetensors"}
CLIP = {"library": "open_clip", "architecture": "tiny-clip", "weights": "own.safetensors"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "PAUSE", 0)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-clip", TINY_CLIP)


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """A model of timm whose classifier tells 7 classes apart."""
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=7).eval()


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (191, 277, 3), dtype=np.uint8)


def write(module: nn.Module, **changed: torch.Tensor) -> None:
    save_file(module.state_dict() | changed, "own.safetensors")


def imported(name: str = "own", **entry: object) -> encoders.LoadedEncoder:
    encoder = Encoder.released(name)
    import_released(name, ReleasedModel(**entry), Path(encoder_dir(encoder)))
    return encoders.load(str(encoder))


@torch.no_grad()
def test_a_model_of_timm_gives_its_own_features(vit: nn.Module, photograph: np.ndarray) -> None:
    write(vit)
    encoder = imported(**VIT)
    image = timm.data.create_transform(**timm.data.resolve_model_data_config(vit))(Image.fromarray(photograph))[None]
    torch.testing.assert_close(encoder.transform([photograph]), image, atol=1e-5, rtol=0)
    expected = vit.forward_head(vit.forward_features(image), pre_logits=True)
    torch.testing.assert_close(encoder.features(encoder.transform([photograph])), expected, atol=1e-4, rtol=1e-4)
    meta = read_json("results/encoders/zoo/own/released/s0/meta.json")
    assert meta["address"] == "zoo/own/released/s0" and meta["num_classes"] == 7
    assert meta["weights"] == {"tag": None, "file": "own.safetensors", "sha256": sha256_file("own.safetensors")}
    assert meta["objective"] == "supervised" and meta["validation_accuracy"] is None


@torch.no_grad()
def test_a_model_of_open_clip_gives_its_image_embeddings(photograph: np.ndarray) -> None:
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip", load_weights=False).eval()
    write(model)
    encoder = imported(**CLIP)
    image = image_transform_v2(PreprocessCfg(size=32), is_train=False)(Image.fromarray(photograph))[None]
    torch.testing.assert_close(encoder.transform([photograph]), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.features(image), model.encode_image(image), atol=1e-4, rtol=1e-4)
    assert read_json("results/encoders/zoo/own/released/s0/meta.json")["objective"] == "contrastive"


def test_a_model_of_torchvision_is_read_with_as_many_classes_as_it_has() -> None:
    model = torchvision.models.get_model("shufflenet_v2_x0_5", num_classes=5)
    write(model)
    encoder = imported(library="torchvision", architecture="shufflenet_v2_x0_5", weights="own.safetensors")
    assert encoder.width == 1024
    torch.testing.assert_close(encoder.module.fc.weight, model.fc.weight)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "vit_b_16", "convnext_base"])
def test_torchvisions_preprocessing_is_its_own(name: str, photograph: np.ndarray) -> None:
    model = ReleasedModel(library="torchvision", architecture=name, weights="own.safetensors")
    transform = input_transform(preprocessing_of("own", model, source_of(model).preprocessing), torch.device("cpu"))
    expected = torchvision.models.get_model_weights(name).DEFAULT.transforms()(Image.fromarray(photograph))
    torch.testing.assert_close(transform([photograph])[0], expected, atol=1e-5, rtol=0)


def test_weights_without_a_classifier_are_an_encoder_too(vit: nn.Module) -> None:
    save_file({name: t for name, t in vit.state_dict().items() if not name.startswith("head.")}, "own.safetensors")
    encoder = imported(**VIT)
    assert encoder.width == 64
    torch.testing.assert_close(encoder.module.norm.weight, vit.norm.weight)


def test_another_image_size_is_left_to_the_library(vit: nn.Module) -> None:
    write(vit)
    encoder = imported(**VIT, preprocessing={"size": 96, "crop": 0.5, "mean": [0.1, 0.2, 0.3]})
    assert encoder.module.pos_embed.shape == (1, 37, 64)
    torch.testing.assert_close(encoder.module.blocks[0].attn.qkv.weight, vit.blocks[0].attn.qkv.weight)
    prepared = read_json("results/encoders/zoo/own/released/s0/meta.json")["preprocessing"]
    assert (prepared["size"], prepared["crop"], prepared["mean"]) == (96, 0.5, [0.1, 0.2, 0.3])
    assert prepared["std"] == list(timm.get_pretrained_cfg("test_vit").std)


def test_weights_in_open_clips_older_form_are_converted() -> None:
    model = open_clip.create_model("tiny-clip", load_weights=False)
    write(model, logit_scale=torch.tensor([3.0]))
    assert imported(**CLIP).module.logit_scale == 3.0


def test_the_same_weights_give_the_same_bytes(vit: nn.Module) -> None:
    write(vit)
    imported(**VIT)
    file = Path("results/encoders/zoo/own/released/s0/model.safetensors")
    before = file.read_bytes()
    imported(**VIT)
    assert file.read_bytes() == before


def test_a_full_disk_is_named(vit: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    write(vit)
    monkeypatch.setattr(checkpoints, "save_file", no_space)
    with pytest.raises(UserError, match="no space is left to write to results/encoders/zoo/own/released/s0"):
        imported(**VIT)


def test_weights_of_another_model_are_told_apart_by_their_first_tensors(vit: nn.Module) -> None:
    write(vit, **{"norm.weight": torch.zeros(5), "norm.bias": torch.zeros(6)})
    said = r"own\.safetensors does not hold the weights of timm/test_vit:\n  norm\.weight is \[5\] in the file, \[64\]"
    with pytest.raises(UserError, match=said):
        imported(**VIT)
    with pytest.raises(
        UserError, match=r"timm/test_resnet:\n  conv1\.0\.weight .* is not in the file(\n.*){2}\n  and \d+"
    ):
        imported(**VIT | {"architecture": "test_resnet"})
    with pytest.raises(UserError, match="does not hold the weights of open_clip/tiny-clip"):
        imported(**CLIP)
    assert not Path("results").exists()


def test_weights_that_are_not_finite_are_refused(vit: nn.Module) -> None:
    write(vit, **{"norm.weight": torch.full((64,), torch.nan)})
    with pytest.raises(UserError, match="gives no finite vector"):
        imported(**VIT)


WRONG = {
    "timm's name": (
        {"architecture": "test_vitt"},
        r"is no model of timm\. Did you mean 'timm/test_vit'",
    ),
    "open_clip's name": ({"library": "open_clip", "architecture": "ViT-B-33"}, "Did you mean 'open_clip/ViT-B-32'"),
    "timm's tag": ({"weights": None, "pretrained": "r160_in1"}, r"no weights 'r160_in1'\. Did you mean 'r160_in1k'"),
    "open_clip's tag": (
        {"library": "open_clip", "architecture": "ViT-B-32", "weights": None, "pretrained": "laion2b_s34b"},
        r"Did you mean 'laion2b_s34b_b79k'\? Allowed: openai",
    ),
    "another activation": (
        {"library": "open_clip", "architecture": "RN50", "weights": None, "pretrained": "yfcc15m"},
        r"trained with QuickGELU\. Name 'RN50-quickgelu'",
    ),
    "a size that patches do not divide": (
        {"library": "torchvision", "architecture": "vit_b_32", "preprocessing": {"size": 225}},
        "torchvision/vit_b_32 cannot take images of 225 × 225 pixels",
    ),
    "no file": ({"weights": "other.safetensors"}, r"zoo\.own\.weights: other\.safetensors is not there"),
    "another checksum": (
        {"checksum": f"sha256:{'0' * 64}"},
        r"zoo\.own\.checksum: .* has sha256:[0-9a-f]+",
    ),
}


@pytest.mark.parametrize(("changed", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(vit: nn.Module, changed: dict[str, object], said: str) -> None:
    write(vit)
    with pytest.raises(UserError, match=said):
        imported(**VIT | changed)


def test_a_pickle_under_the_name_of_safetensors_is_never_loaded(vit: nn.Module) -> None:
    torch.save(vit.state_dict(), "own.safetensors")
    with pytest.raises(UserError, match=r"own\.safetensors is damaged, or is no safetensors file"):
        imported(**VIT)


def test_images_that_are_squeezed_are_not_cropped_in_silence() -> None:
    model, said = ReleasedModel(**VIT), {"size": 8, "crop": None, "interpolation": "bicubic", "mean": [0], "std": [1]}
    with pytest.raises(UserError, match=r"zoo\.own\.preprocessing: \{crop: 1\.0\}"):
        preprocessing_of("own", model, said)
    cropped = model.model_copy(update={"preprocessing": model.preprocessing.model_copy(update={"crop": 1.0})})
    assert preprocessing_of("own", cropped, said)["crop"] == 1.0


@pytest.fixture
def hub(vit: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A hub that has a model's weights under every name."""
    server = Server(save(vit.state_dict()))
    monkeypatch.setattr(released, "HUB", server.url("").rstrip("/"))
    yield server
    server.close()


def test_weights_of_a_tag_are_fetched_once(hub: Server, vit: nn.Module) -> None:
    entry = {"library": "timm", "architecture": "test_vit", "pretrained": "r160_in1k"}
    torch.testing.assert_close(imported(**entry).module.head.weight, vit.head.weight)
    kept = Path("data/zoo/timm/test_vit.r160_in1k/model.safetensors")
    assert kept.read_bytes() == hub.content
    imported("again", **entry)
    assert len(hub.requests) == 1
    assert read_json("results/encoders/zoo/again/released/s0/meta.json")["weights"]["tag"] == "r160_in1k"


def test_without_a_network_it_is_said_where_to_put_the_file(vit: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released, "HUB", "http://127.0.0.1:9")
    entry = {"library": "timm", "architecture": "test_vit", "pretrained": "r160_in1k"}
    place = "data/zoo/timm/test_vit.r160_in1k/model.safetensors"
    with pytest.raises(UserError, match=f"could not be fetched:[\\s\\S]*put it at {place} and run again"):
        imported(**entry)
    save_file(vit.state_dict(), place)
    assert imported(**entry).width == 64


@pytest.mark.parametrize(
    ("entry", "file"),
    [
        (("timm", "resnet50", "a1_in1k"), HubFile("timm/resnet50.a1_in1k", "model.safetensors")),
        (
            ("open_clip", "ViT-B-32", "laion2b_s34b_b79k"),
            HubFile("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors"),
        ),
        (
            ("open_clip", "RN50-quickgelu", "yfcc15m"),
            HubFile("timm/resnet50_clip.yfcc15m", "open_clip_model.safetensors"),
        ),
    ],
)
def test_the_files_are_those_that_the_libraries_name(entry: tuple[str, str, str], file: HubFile) -> None:
    model = ReleasedModel(**dict(zip(("library", "architecture", "pretrained"), entry, strict=True)))
    assert source_of(model).hub == file


def test_what_others_released_is_not_exported(vit: nn.Module, tmp_path: Path) -> None:
    write(vit)
    imported(**VIT)
    with pytest.raises(UserError, match="was released by others"):
        export("zoo/own/released/s0", tmp_path / "exported")
