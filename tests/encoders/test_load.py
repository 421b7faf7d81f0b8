"""An encoder is loaded by its address and gives the features that its model gives."""

import pytest
import torch

from nml import encoders
from nml.config.recipes import Recipe
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
