"""Time Snakemake's own work on the paper's matrix: `python benchmarks/workflow.py [FOLDER]`.

Dry runs in a folder of its own: of `presets/paper.yaml`, and of one with ten times as many pre-training seeds, nothing
made yet; of the former, everything made too (empty files stand in for it, which takes minutes), and one cell missing.
Prints processor seconds, which other work on the machine changes less, wall time and peak memory.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SOURCES = ["Snakefile", "config.yaml", "envs", "nml", "presets", "profiles", "report", "rules", "workflow_scripts"]
PAPER = "presets/paper.yaml"
CELL = "results/cells/imagenet1k/resnet50-rsb-a2/symmetric-20/s0/cifar10/lp.parquet"
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--configfile"]
TIMES = 10


def timed(name: str, command: list[str], folder: Path) -> None:
    """Run a command, and print what it took; stop if it fails."""
    started = time.perf_counter()
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{name} failed: {' '.join(command)}\n{(folder / 'output.txt').read_text()[-2000:]}")
    seconds = usage.ru_utime + usage.ru_stime
    wall, memory = time.perf_counter() - started, usage.ru_maxrss / 2**20
    print(f"{name:44} {seconds:8.1f} s {wall:8.1f} s {memory:6.2f} GiB", flush=True)


def larger(folder: Path) -> str:
    """Write the paper's matrix with more pre-training seeds, and return its path."""
    values = yaml.safe_load((folder / PAPER).read_text())
    values["pretraining"] = [family | {"seeds": TIMES} for family in values["pretraining"]]
    (folder / "presets/larger.yaml").write_text(yaml.safe_dump(values))
    return "presets/larger.yaml"


def pretend(preset: str, folder: Path) -> None:
    """Make every output as an empty file, and have Snakemake note it as its own."""
    quiet = {"cwd": folder, "stderr": subprocess.DEVNULL, "check": True}
    summary = subprocess.run([*SNAKEMAKE, preset, "--summary"], stdout=subprocess.PIPE, text=True, **quiet)
    for line in summary.stdout.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        # The overlay is the only folder among the outputs.
        path.mkdir() if path.name == "overlay" else path.touch()
    touch = [*SNAKEMAKE, preset, "--touch", "--cores", "1", "--no-hooks", "--quiet", "all"]
    subprocess.run(touch, stdout=subprocess.DEVNULL, **quiet)


def dry_run(preset: str) -> list[str]:
    return [*SNAKEMAKE, preset, "--dry-run", "--quiet", "rules", "--"]


def measure_start(name: str, preset: str, folder: Path) -> None:
    """Time the dry runs of a matrix of which nothing is made."""
    timed(f"{name}, nothing made", dry_run(preset), folder)
    timed(f"{name}, nothing made, one cell", [*dry_run(preset), CELL], folder)


def measure_end(folder: Path) -> None:
    """Time the dry runs of the paper's matrix when everything is made, and with one cell missing."""
    pretend(PAPER, folder)
    timed("paper, nothing to be done", dry_run(PAPER), folder)
    (folder / CELL).unlink()
    timed("paper, one cell missing, all asked for", dry_run(PAPER), folder)
    timed("paper, one cell missing, that asked for", [*dry_run(PAPER), CELL], folder)


def main(folder: Path) -> None:
    """Copy the sources, and time both matrices."""
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name)
    os.environ["PYTHONPATH"] = str(folder)
    print(f"{'':44} {'processor':>10} {'wall':>10} {'memory':>10}")
    measure_start("paper", PAPER, folder)
    measure_start(f"{TIMES} x paper", larger(folder), folder)
    measure_end(folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made))
