"""A machine with GPUs, as far as their driver's tool shows it: an `nvidia-smi` in the search path."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nml import leases

TOOL = """#!/bin/sh
case "$*" in
-L) cat "{folder}/devices" ;;
*--query-gpu=*) echo "$*" >> "{folder}/asked"; while :; do cat "{folder}/samples"; sleep 0.05; done ;;
*) exit 2 ;;
esac
"""


def install(folder: Path, devices: int) -> str:
    """Write the tool for some devices, `GPU-0`, `GPU-1` and so on; return the search path that finds it first."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"GPU {number}: NVIDIA H200 (UUID: GPU-{number})\n" for number in range(devices)]
    (folder / "devices").write_text("".join(lines))
    (folder / "samples").write_text("100.5, 2048\n[N/A], 1024\n")
    tool = folder / "nvidia-smi"
    tool.write_text(TOOL.format(folder=folder))
    tool.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of the tool of a machine with two GPUs, where nothing is leased."""
    monkeypatch.setenv("PATH", install(tmp_path / "driver", 2))
    monkeypatch.delenv(leases.VISIBLE, raising=False)
    monkeypatch.setattr(leases, "ROOT", tmp_path / "leases")
    monkeypatch.setattr(leases, "_POLL", 0.01)
    return tmp_path / "driver"
