"""What is exported is loaded by the other library alone, and gives the encoder's own outputs."""

import hashlib
import json

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import _api

from nml import encoders
from nml.cli import LAYOUTS as OFFERED
from nml.cli import main
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.encoders.export import LAYOUTS, export
from nml.errors import UserError
from nml.grid import Encoder, Noise, encoder_dir
from nml.pretraining.control import calibrate, initialise
from nml.pretraining.encoder_files import write_encoder
from nml.pretraining.model import build_model

CORPUS = "emoji"
# Another memory layout of the weights gives sums in another order.
NEAR = {"rtol": 1e-3, "atol": 1e-3}


def write(root, architecture, objective="supervised", noise="untrained", classes=7, **changes) -> str:
    """Write an encoder with random weights; return its address."""
    encoder = Encoder(CORPUS, "a-recipe", Noise.parse(noise), 3)
    recipe = Recipe(
        objective=objective, architecture=architecture, epochs=4, batch_size=8, learning_rate=0.1, **changes
    )
    model = build_model(recipe, encoder.recipe, classes, encoder.seed)
    # Without statistics of its own the model's outputs would hardly depend on the image.
    calibrate(model, torch.randint(0, 256, (32, 32, 32, 3), dtype=torch.uint8).numpy(), recipe)
    facts = {"validation_accuracy": 0.4321, "epochs": 4, "realised_noise_percent": 19.98}
    write_encoder(model, str(encoder), recipe, classes, facts, root / encoder_dir(encoder))
    return str(encoder)


LIBRARY_MODELS = [
    ("timm/resnet10t", "supervised", "timm"),
    ("timm/test_vit", "supervised", "timm"),
    ("torchvision/resnet18", "supervised", "torchvision"),
    ("torchvision/resnet18", "supervised", "timm"),
    ("torchvision/mobilenet_v3_small", "supervised", "torchvision"),
    ("torchvision/vit_tiny", "supervised", "torchvision"),
    ("open_clip/ViT-S-32-alt", "contrastive", "open_clip"),
]


def vit_tiny(weights: None = None, image_size: int = 224, **options) -> torchvision.models.VisionTransformer:
    """A ViT as torchvision builds its own, all of which are large."""
    return torchvision.models.VisionTransformer(image_size, 16, 1, 2, 32, 64, **options)


@pytest.fixture(autouse=True)
def _small_vit(monkeypatch):
    monkeypatch.setattr(vit_tiny, "__module__", "torchvision.models.vision_transformer")
    monkeypatch.setitem(_api.BUILTIN_MODELS, "vit_tiny", vit_tiny)


def run_card(folder) -> dict:
    """Run the code of a model card on an image; return the names that it leaves."""
    usage = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    names = {"image": Image.new("RGB", (40, 50))}
    exec(usage, names)
    return names


@pytest.mark.parametrize(("architecture", "objective", "layout"), LIBRARY_MODELS, ids=lambda value: value)
def test_the_code_of_the_card_loads_the_models_of_the_libraries(tmp_path, architecture, objective, layout):
    address = write(tmp_path, architecture, objective, image_transform={"size": 64, "test_crop": 1.0})
    assert export(address, tmp_path / "out", layout, tmp_path) == layout
    loaded = run_card(tmp_path / "out")["model"]
    if layout == "timm":
        assert loaded.pretrained_cfg["input_size"] == (3, 64, 64)
    own, batch = encoders.load(address, tmp_path).module.cpu(), torch.rand(2, 3, 64, 64)
    forward = "encode_image" if layout == "open_clip" else "forward"
    with torch.inference_mode():
        torch.testing.assert_close(getattr(loaded.eval(), forward)(batch), getattr(own, forward)(batch), **NEAR)


def test_a_crop_that_open_clip_cannot_make_is_refused(tmp_path):
    address = write(tmp_path, "open_clip/ViT-S-32-alt", "contrastive", image_transform={"size": 64, "test_crop": 0.9})
    with pytest.raises(UserError, match=r"validated on the centre 90\.0% of it"):
        export(address, tmp_path / "out", "open_clip", tmp_path)
    assert not (tmp_path / "out").exists()


def test_what_timm_has_in_another_form_is_refused(tmp_path):
    address = write(tmp_path, "torchvision/mobilenet_v3_small", image_transform={"size": 64})
    with pytest.raises(UserError, match="timm has no model of the name and form of 'torchvision/mobilenet_v3_small'"):
        export(address, tmp_path / "out", "timm", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def images():
    """Three photographs of 32 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    return [Image.fromarray(image) for image in pixels]


def own_features(address, root, images):
    encoder = encoders.load(address, root)
    batch = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
    return encoder.features(encoder.transform(batch))


def test_timm_loads_the_mini_resnet_with_its_images_prepared_alike(tmp_path, images):
    address = write(tmp_path, "resnet-mini")
    assert export(address, tmp_path / "out", root=tmp_path) == "timm"
    model = timm.create_model(f"local-dir:{tmp_path}/out", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    batch = torch.stack([transform(image) for image in images])
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(batch), pre_logits=True)
    torch.testing.assert_close(features, own_features(address, tmp_path, images), **NEAR)
    assert model.num_classes == 7


def test_timm_gives_the_exported_encoder_another_head(tmp_path):
    address = write(tmp_path, "resnet-mini")
    export(address, tmp_path / "out", root=tmp_path)
    model = timm.create_model(f"local-dir:{tmp_path}/out", pretrained=True, num_classes=3)
    assert model.fc.out_features == 3
    assert torch.equal(model.conv1.weight, encoders.load(address, tmp_path).module.conv1.weight.cpu())


def test_open_clip_loads_the_mini_clip_with_its_images_and_texts(tmp_path, images):
    address = write(tmp_path, "clip-mini", "contrastive")
    assert export(address, tmp_path / "out", root=tmp_path) == "open_clip"
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}/out")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path}/out")(["an emoji of a cat", "a drawing"])
    own = encoders.load(address, tmp_path).module
    with torch.inference_mode():
        features = model.eval().encode_image(torch.stack([transform(image) for image in images]))
        torch.testing.assert_close(model.encode_text(tokens), own.cpu().encode_text(tokens))
    torch.testing.assert_close(features, own_features(address, tmp_path, images), **NEAR)
    assert tokens.shape == (2, 24)


def test_the_card_says_what_it_is_and_its_checksum_is_right(tmp_path):
    address = write(tmp_path, "resnet-mini", noise="symmetric-20")
    export(address, tmp_path / "out", root=tmp_path)
    card = (tmp_path / "out/README.md").read_text()
    digest = hashlib.sha256((tmp_path / "out/model.safetensors").read_bytes()).hexdigest()
    expected = (address, "symmetric, 20 %", "19.98 %", "43.21%", "4 epochs, 8 images a step", digest, "CC-BY-4.0")
    for words in (*expected, f'timm.create_model("local-dir:{tmp_path}/out", pretrained=True)', "resize squash"):
        assert words in card
    assert run_card(tmp_path / "out")["features"].shape == (1, 128)


def test_an_untrained_control_is_called_one(tmp_path):
    encoder = Encoder(CORPUS, "resnet-mini", Noise("untrained"), 0)
    recipe = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
    initialise(encoder, open_corpus(CORPUS), recipe, tmp_path / encoder_dir(encoder))
    export(str(encoder), tmp_path / "out", root=tmp_path)
    assert "untrained initialisation, a control" in (tmp_path / "out/README.md").read_text()


def test_nothing_of_timms_own_weights_is_claimed_and_nothing_is_a_pickle(tmp_path):
    export(write(tmp_path, "resnet-mini"), tmp_path / "out", root=tmp_path)
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert not {"tag", "license", "origin_url", "paper_ids", "url", "hf_hub_id"} & set(config["pretrained_cfg"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert load_file(tmp_path / "out/model.safetensors")


def test_exporting_twice_gives_the_same_bytes(tmp_path):
    address = write(tmp_path, "clip-mini", "contrastive")
    for name in ("a/out", "b/out"):
        export(address, tmp_path / name, root=tmp_path)
    for name in ("open_clip_model.safetensors", "open_clip_config.json"):
        assert (tmp_path / "a/out" / name).read_bytes() == (tmp_path / "b/out" / name).read_bytes()


@pytest.mark.parametrize(
    ("architecture", "objective", "layout", "allowed"),
    [("resnet-mini", "supervised", "open_clip", "timm"), ("clip-mini", "contrastive", "timm", "open_clip")],
)
def test_a_layout_that_does_not_fit_is_refused(tmp_path, architecture, objective, layout, allowed):
    address = write(tmp_path, architecture, objective)
    with pytest.raises(UserError, match=f"'{layout}' does not fit '{architecture}'. Allowed: {allowed}"):
        export(address, tmp_path / "out", layout, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    address = write(tmp_path, "resnet-mini")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not an empty folder"):
        export(address, tmp_path / "out", root=tmp_path)
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export(address, tmp_path / "empty", root=tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_other_outputs_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    address = write(tmp_path, "resnet-mini")
    real = timm.create_model

    def other(*arguments, **options):
        model = real(*arguments, **options)
        if options.get("pretrained"):
            torch.nn.init.normal_(model.fc.weight)
        return model

    monkeypatch.setattr(timm, "create_model", other)
    with pytest.raises(UserError, match="gives other outputs than the encoder"):
        export(address, tmp_path / "out", root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_the_command_exports_and_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    address = write(tmp_path, "resnet-mini")
    main(["export", address, "out"])
    assert "as timm loads it" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["export", "emoji/resnet-mini/clean/s0", "other"])
    assert "snakemake --cores 1 results/encoders/emoji/resnet-mini/clean/s0" in capsys.readouterr().err


def test_the_command_offers_every_layout():
    assert sorted(OFFERED) == sorted(LAYOUTS)
