"""An encoder is loaded by its address and gives the features that its model gives."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from nml import encoders
from nml.config.recipes import Recipe
from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import open_corpus
from nml.errors import UserError
from nml.grid import Encoder, Noise, encoder_dir
from nml.pretraining.control import initialise

WIDTHS = {"resnet-mini": 128, "clip-mini": 128}
OBJECTIVES = {"resnet-mini": "supervised", "clip-mini": "contrastive"}


@pytest.fixture(params=WIDTHS)
def written(request, tmp_path):
    name = request.param
    recipe = Recipe(objective=OBJECTIVES[name], architecture=name, epochs=1, batch_size=8, learning_rate=0.1)
    encoder = Encoder("emoji", name, Noise("untrained"), 3)
    initialise(encoder, open_corpus("emoji"), recipe, tmp_path / encoder_dir(encoder))
    return name, str(encoder), tmp_path


def test_a_loaded_encoder_is_frozen_and_gives_its_models_features(written):
    name, address, root = written
    encoder = encoders.load(address, root)
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    features = encoder.features(encoder.transform(images))
    assert features.shape == (5, WIDTHS[name])
    assert encoder.width == WIDTHS[name]
    assert not features.requires_grad and not encoder.module.training
    pooled = encoder.module.forward_features if name == "resnet-mini" else encoder.module.encode_image
    expected = pooled(encoder.transform(images))
    expected = expected.mean(dim=(2, 3)) if name == "resnet-mini" else expected
    torch.testing.assert_close(features, expected)


def test_a_missing_encoder_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match=r"snakemake --cores 1 .*emoji/resnet-mini/clean/s0/model\.safetensors"):
        encoders.load("emoji/resnet-mini/clean/s0", tmp_path)


def test_a_malformed_address_is_explained():
    with pytest.raises(UserError, match="for example 'emoji/resnet-mini/symmetric-20/s0'"):
        encoders.load("emoji/resnet-mini")


def test_photographs_of_any_size_are_cropped_as_after_training(tmp_path):
    how = ImageTransform(size=32, test_size=40, test_crop=0.875)
    recipe = Recipe(
        objective="supervised",
        architecture="resnet-mini",
        epochs=1,
        batch_size=8,
        learning_rate=0.1,
        image_transform=how,
    )
    encoder = Encoder("emoji", "resnet-mini", Noise("untrained"), 0)
    initialise(encoder, open_corpus("emoji"), recipe, tmp_path / encoder_dir(encoder))
    loaded = encoders.load(str(encoder), tmp_path)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 70, 3), dtype=np.uint8) for height in (50, 90, 41)]
    timms = create_transform(40, is_training=False, interpolation="bicubic", crop_pct=0.875)
    expected = torch.stack([timms(Image.fromarray(image)) for image in images])
    torch.testing.assert_close(loaded.transform(images), expected, atol=1e-5, rtol=1e-5)
    same = torch.from_numpy(np.stack([images[0]] * 2)).permute(0, 3, 1, 2)
    torch.testing.assert_close(loaded.transform(same), expected[[0, 0]], atol=1e-5, rtol=1e-5)
    assert loaded.features(loaded.transform(images)).shape == (3, 128)
    assert '"crop": 0.875' in encoders.identify(str(encoder), tmp_path)["transform"]


def test_images_of_several_sizes_are_squashed_one_by_one(written):
    _, address, root = written
    encoder = encoders.load(address, root)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (side, 40, 3), dtype=np.uint8) for side in (30, 50)]
    alone = [encoder.transform(torch.from_numpy(image).permute(2, 0, 1)[None]) for image in images]
    torch.testing.assert_close(encoder.transform(images), torch.cat(alone))
