"""The untrained control is where training starts, with activations that have not collapsed."""

import pytest
import torch

from nml.grid import Encoder, Noise
from nml.pretraining import architectures
from nml.pretraining.checkpoints import load_tensors
from nml.pretraining.control import calibrate, initialise
from nml.pretraining.engine import build_model
from nml.pretraining.images import normalise


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_the_control_has_the_weights_that_training_starts_from(corpus, recipe, tmp_path, objective):
    made = recipe(objective)
    encoder = Encoder("colours", made.architecture, Noise("untrained"), 4)
    initialise(encoder, corpus, made, tmp_path)
    written, header = load_tensors(tmp_path / "model.safetensors")
    start = build_model(made, made.architecture, len(corpus.class_names), seed=4)
    assert header["address"] == f"colours/{made.architecture}/untrained/s4"
    assert all(torch.equal(written[name], tensor) for name, tensor in start.named_parameters())


def test_calibration_gives_features_that_differ_between_images(recipe):
    made = recipe("supervised")
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spreads = []
    for calibrated in (False, True):
        model = build_model(made, made.architecture, 3, seed=0).eval()
        if calibrated:
            calibrate(model, images, made)
        features = architectures.feature_function(model, architectures.load(made.architecture))
        with torch.no_grad():
            found = features(normalise(images, 32))
        spreads.append((found.std(dim=0).mean() / found.mean()).item())
    assert spreads[1] > spreads[0]
    assert spreads[1] > 0.05
