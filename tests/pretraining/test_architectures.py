"""Models by name are the libraries' own, their features are the papers', and nothing is ever downloaded."""

import open_clip
import pytest
import timm
import torch
import torchvision

from nml import encoders, plugins
from nml.config.recipes import Recipe
from nml.errors import UserError
from nml.grid import Encoder, Noise, encoder_dir
from nml.pretraining import architectures, contrastive
from nml.pretraining.control import initialise

# A small model of each library, the side of its input, and the width of its features.
SMALL = {
    "timm/test_resnet": (64, 96),
    "torchvision/shufflenet_v2_x0_5": (64, 1024),
    "open_clip/ViT-S-32-alt": (64, 256),
}


def built(name: str, size: int | None = None, classes: int = 5):
    torch.manual_seed(0)
    architecture = architectures.load(name, size)
    return architecture, architecture.build(classes).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_features_have_the_width_of_the_model(name, images):
    size, width = SMALL[name]
    architecture, model = built(name, size)
    assert architectures.feature_function(model, architecture)(images).shape == (2, width)


def test_timm_features_are_pooled_before_the_classifier(images):
    architecture, model = built("timm/test_resnet", 64)
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=5).eval()
    features = architectures.feature_function(model, architecture)(images)
    torch.testing.assert_close(theirs.fc(features), theirs(images))


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18"])
def test_torchvision_features_are_what_the_classifier_is_given(name, images):
    architecture, model = built(f"torchvision/{name}")
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, num_classes=5).eval()
    features = architectures.feature_function(model, architecture)(images)
    last = list(theirs.modules())[-1]
    torch.testing.assert_close(last(features), theirs(images))


def test_open_clip_features_are_the_embedding_as_it_is(images):
    architecture, model = built("open_clip/ViT-S-32-alt", 64)
    features = architectures.feature_function(model, architecture)(images)
    torch.testing.assert_close(features, model.encode_image(images, normalize=False))
    assert not torch.allclose(features.norm(dim=1), torch.ones(2))


def test_captions_are_tokenised_as_open_clip_does_for_the_model():
    architecture = architectures.load("open_clip/RN50")
    captions = ["a photo of a dog", "one " * 100]
    assert torch.equal(
        contrastive.collate(captions, architecture.context_length), open_clip.get_tokenizer("RN50")(captions)
    )


def test_the_model_s_own_configuration_gives_the_size():
    assert architectures.load("timm/vit_base_patch16_384").image_size == 384
    assert architectures.load("open_clip/ViT-B-16").image_size == 224
    assert architectures.load("torchvision/resnet50").image_size == 224


def test_a_vit_is_built_for_the_size_of_the_images():
    _, model = built("timm/test_vit", 96)
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 5)


def test_drop_path_reaches_the_blocks():
    model = architectures.load("timm/test_resnet").build(5, drop_path=0.1)
    assert max(getattr(layer, "drop_prob", 0) or 0 for layer in model.modules()) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet5O", r"no model of timm\. Did you mean 'timm/resnet50'\?"),
        ("torchvision/resnet51", r"no classifier of torchvision .*Did you mean 'torchvision/resnet50'\?"),
        ("torchvision/googlenet", r"no classifier of torchvision"),
        ("open_clip/ViT-B16", r"no model of open_clip\. Did you mean 'open_clip/ViT-B-16'\?"),
        ("open_clip/ViT-B-16-SigLIP", r"needs a tokenizer to be downloaded"),
        ("open_clip/coca_ViT-B-32", r"another loss than CLIP's"),
        ("resnet-maxi", r"architecture 'resnet-maxi' does not exist; allowed are clip-mini, .*timm/<model>"),
    ],
)
def test_a_name_that_cannot_be_built_is_refused_with_the_nearest(name, message):
    with pytest.raises(UserError, match=message):
        architectures.load(name)


def test_every_shipped_recipe_names_a_model_that_can_be_built():
    for name in plugins.shipped_recipes():
        architectures.of_recipe(Recipe.model_validate(plugins.shipped_recipe(name)))


def test_an_encoder_of_a_library_comes_back_from_its_checkpoint_alone(corpus, tmp_path):
    recipe = Recipe(
        objective="supervised",
        architecture="timm/test_resnet",
        epochs=1,
        batch_size=8,
        learning_rate=0.1,
        drop_path=0.1,
    )
    encoder = Encoder("colours", "mine", Noise("untrained"), 0)
    initialise(encoder, corpus, recipe, tmp_path / encoder_dir(encoder))
    loaded = encoders.load(str(encoder), tmp_path)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    assert loaded.transform(images).shape == (3, 3, 160, 160)
    assert loaded.features(loaded.transform(images)).shape == (3, 96)
