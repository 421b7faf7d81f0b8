"""A right configuration to make wrong ones from."""

from typing import Any

import pytest

from nml import plugins


@pytest.fixture
def values() -> dict[str, Any]:
    """Return a small configuration as YAML would give it."""
    common = {"epochs": 2, "batch_size": 16, "learning_rate": 0.001}
    return {
        "name": "test",
        "pretraining": [
            {"corpus": "emoji", "recipe": "resnet-mini", "noise": {"symmetric": [5, 20]}, "seeds": 2},
            {"corpus": "emoji", "recipe": "clip-mini", "noise": {"swap": [20]}},
        ],
        "recipes": {
            "resnet-mini": {"objective": "supervised", "architecture": "resnet-mini", **common},
            "clip-mini": {"objective": "contrastive", "architecture": "clip-mini", **common},
        },
        "tasks": list(plugins.tasks())[:1],
        "methods": {
            "majority": {},
            "lp": {"learning_rate": 0.1},
            "nmtune": {"learning_rate": 0.001, "weight": 0.01},
            "ft": {"learning_rate": 0.001},
            "lora": {"learning_rate": 0.001},
        },
    }
