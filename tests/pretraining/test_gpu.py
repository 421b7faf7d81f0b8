"""On a GPU: bfloat16, compiled, out of pinned memory, both objectives learn what they learn on a processor."""

import pytest
import torch

from nml.config.transforms import ImageTransform
from nml.pretraining.engine import train
from nml.pretraining.run import Run
from nml.pretraining.world import World

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]


@pytest.fixture
def sent(monkeypatch) -> list[bool]:
    """Whether each tensor that is sent to the device lies in pinned memory."""
    seen, real = [], World.send
    monkeypatch.setattr(World, "send", lambda self, tensor: seen.append(tensor.is_pinned()) or real(self, tensor))
    return seen


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_a_few_steps_have_the_losses_of_a_processor(photographs, recipe, tmp_path, sent, monkeypatch, objective):
    corpus, noise_dir = photographs()

    def losses(**changes) -> list[float]:
        made = recipe(objective, image_transform=ImageTransform(size=32), batch_size=14, epochs=2, **changes)
        model, log = train(Run("a run", corpus, noise_dir, made, "x", 0, tmp_path / made.precision, "code", 1))
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        assert {parameter.device for parameter in model.parameters()} == {World().device}
        return [row["loss"] for row in log]

    on_gpu = losses(precision="bf16", compile=True)
    # Images and targets of two epochs with three steps each; the validation split is small, and held in plain memory.
    assert sum(sent) == 12
    monkeypatch.setattr(World, "device", torch.device("cpu"))
    assert on_gpu == pytest.approx(losses(precision="fp32"), rel=0.05)
