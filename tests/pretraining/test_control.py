"""The untrained control is where training starts, with activations that have not collapsed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nml.corpora.catalogue import Corpus, Shard
from nml.errors import UserError
from nml.grid import Encoder, Noise
from nml.pretraining import architectures, checkpoints, control
from nml.pretraining.checkpoints import load_tensors
from nml.pretraining.control import calibrate, initialise
from nml.pretraining.images import normalise
from nml.pretraining.model import build_model
from tests.full_disk import no_space


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_the_control_has_the_weights_that_training_starts_from(corpus, recipe, tmp_path, objective):
    made = recipe(objective)
    encoder = Encoder("colours", made.architecture, Noise("untrained"), 4)
    initialise(encoder, corpus, made, tmp_path)
    written, header = load_tensors(tmp_path / "model.safetensors")
    start = build_model(made, made.architecture, len(corpus.class_names), seed=4)
    assert header["address"] == f"colours/{made.architecture}/untrained/s4"
    assert all(torch.equal(written[name], tensor) for name, tensor in start.named_parameters())


def test_a_full_disk_is_named(corpus, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "save_file", no_space)
    made = recipe("supervised")
    with pytest.raises(UserError, match=f"no space is left to write to {tmp_path}"):
        initialise(Encoder("colours", made.architecture, Noise("untrained"), 4), corpus, made, tmp_path)


@pytest.fixture
def class_folders(tmp_path):
    """Return a corpus of 12 class folders of 5 images; the colour of an image is 20 times its label."""
    for label in range(12):
        folder = tmp_path / f"class{label:02d}"
        folder.mkdir()
        for number in range(5):
            Image.new("RGB", (8, 8), (20 * label, number, 0)).save(folder / f"{number}.png")
    shards = [Shard(folder.name, folder) for folder in sorted(tmp_path.iterdir())]
    return Corpus("folders", {"train": shards, "validation": []}, [str(n) for n in range(12)], [], ("labels",))


@pytest.mark.parametrize(("images", "classes"), [(24, 12), (18, 12), (6, 6)])
def test_the_images_for_calibration_are_of_all_shards(class_folders, monkeypatch, images, classes):
    monkeypatch.setattr(control, "CALIBRATION_IMAGES", images)
    labels = [int(image[0, 0, 0]) // 20 for image in control._readable_images(class_folders)]
    assert len(labels) == images
    assert len(set(labels)) == classes
    assert labels == [int(image[0, 0, 0]) // 20 for image in control._readable_images(class_folders)]
    assert set(labels) != set(range(6)), "shards are drawn, and are not the first"


def test_calibration_takes_few_images_at_once_and_none_without_batch_norms(recipe):
    sizes, images = [], np.zeros((600, 32, 32, 3), dtype=np.uint8)
    made = recipe("supervised", batch_size=2048)
    model = build_model(made, made.architecture, 3, seed=0)
    next(model.children()).register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    calibrate(model, images, made)
    assert sum(sizes) == 600 and max(sizes) == 256
    calibrate(nn.Linear(2, 2), iter(lambda: pytest.fail("an image was taken"), None), made)


def test_calibration_gives_features_that_differ_between_images(recipe):
    made = recipe("supervised")
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spreads = []
    for calibrated in (False, True):
        model = build_model(made, made.architecture, 3, seed=0).eval()
        if calibrated:
            calibrate(model, images.permute(0, 2, 3, 1).numpy(), made)
        features = architectures.feature_function(model, architectures.load(made.architecture))
        with torch.no_grad():
            found = features(normalise(images, 32))
        spreads.append((found.std(dim=0).mean() / found.mean()).item())
    assert spreads[1] > spreads[0]
    assert spreads[1] > 0.05
