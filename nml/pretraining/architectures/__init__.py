"""One file an architecture.

Each declares `OBJECTIVE` (the recipes it serves) and `IMAGE_SIZE` (pixels), and builds its model from a library's parts
with `build(num_classes)`, a `torch.nn.Module`.
"""

import importlib
from types import ModuleType

from nml.plugins import architectures


def load(name: str) -> ModuleType:
    """Import an architecture by its name, such as `resnet-mini`."""
    if name not in architectures():
        raise ValueError(f"architecture '{name}' does not exist; allowed are {', '.join(architectures())}.")
    return importlib.import_module(f"nml.pretraining.architectures.{name.replace('-', '_')}")
