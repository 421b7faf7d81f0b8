"""`nml export`: an encoder in another library's layout."""

import argparse
from importlib import import_module
from pathlib import Path


def run(options: argparse.Namespace) -> None:
    """Export `options.address` to `options.folder`, and say what was written."""
    # By its name, because it needs PyTorch, which no module of the command line may import.
    layout = import_module("nml.encoders.export").export(options.address, options.folder, options.layout)
    print(f"{options.folder}: {options.address} as {layout} loads it; how, its README.md says")
    print(*sorted(f"  {path.name}" for path in Path(options.folder).iterdir()), sep="\n")
