"""The ground floor and the command line start without PyTorch, which alone takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "torchvision", "timm", "open_clip", "webdataset", "peft", "transformers"}
GROUND_FLOOR = ["artifacts", "codehash", "devices", "errors", "grid", "jobs", "plugins", "progress", "seeds"]
PACKAGES = ["config", "cli"]
MODULES = [f"nml.{name}" for name in GROUND_FLOOR]
MODULES += [f"nml.{name}.{path.stem}" for name in PACKAGES for path in (ROOT / "nml" / name).glob("[!_]*.py")]


def loaded_by(code: str, folder: Path = ROOT) -> set[str]:
    """Return the top-level packages that a fresh Python has loaded after running some code."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(json.loads(shown.stdout.splitlines()[-1]))


def test_no_module_of_the_ground_floor_imports_pytorch() -> None:
    assert not loaded_by("\n".join(f"import {module}" for module in MODULES)) & HEAVY


@pytest.mark.parametrize("arguments", [["plan"], ["status"], ["status", "--missing"], ["data"]], ids=" ".join)
def test_no_command_imports_pytorch_or_what_it_does_not_need(arguments: list[str]) -> None:
    loaded = loaded_by(f"from nml.cli import main; main({arguments})")
    assert not loaded & (HEAVY | {"duckdb", "pandas", "pyarrow", "numpy", "snakemake"})


def test_help_needs_the_standard_library_alone() -> None:
    code = "from nml.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & (HEAVY | {"pydantic", "rich", "yaml", "duckdb"})


def test_training_imports_the_tools_that_show_it_only_when_asked_for() -> None:
    assert not loaded_by("import nml.pretraining.launch") & {"tensorboard", "wandb"}
