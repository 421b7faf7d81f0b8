"""A short tuning of any method on coloured images."""

import pytest
import torch

from nml.tuning import registry
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.views import views_for
from tests.tuning.whitebox.examples import SQUASH, make_encoder, make_images


@pytest.fixture
def run(tmp_path):
    """Return a function that describes a short tuning of a method, with any value changed."""

    def make(
        method: str = "ft", family: str = "timm-resnet", samples: int = 30, device: str = "cpu", **changes
    ) -> Tuning:
        common = {"learning_rate": 0.01, "weight_decay": 0.01, "epochs": 2, "batch_size": 8}
        own = {key: changes.pop(key) for key in list(changes) if key not in common}
        return Tuning(
            label=f"{method} {family}",
            name=method,
            method=method,
            **(common | changes),
            parameters=registry.complete(method, own),
            open_encoder=lambda: make_encoder(family, device),
            images=make_images(tmp_path / "images", samples),
            views=views_for(SQUASH, own.get("crop_scale", 0.8), own.get("flip", True), torch.device(device)),
            progress_dir=tmp_path / "progress",
        )

    return make
