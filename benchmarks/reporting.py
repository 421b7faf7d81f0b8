"""Time and memory of the report on 10,000 made-up cells: tables, figures, page, `nml status` and `nml query`.

    python benchmarks/reporting.py FOLDER [--images 400]

The cells are random numbers of the right form, made in FOLDER once: 140 encoders (4 recipes, 5 seeds), the 15 tasks of
the mini matrix, 5 methods, 3 tuning seeds. Each step is a process of its own, so that its peak memory is its own.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from nml.artifacts import write_json, write_parquet, write_text
from nml.cli.jobs import jobs_of
from nml.config.grid import encoders_of
from nml.config.load import load_config
from nml.grid import Encoder, cell_path, encoder_dir, spectrum_path
from nml.plugins import tasks

CONFIG = """\
name: ten-thousand-cells
pretraining:
{families}
recipes:
{recipes}
tasks: [animal-silhouettes, clipart, emoji-animals, emoji-categories, emoji-food, emoji-travel, fashion, flags,
  font-style, handwritten-digits, icon-fill, icons, letters, scripts, emoji-domains]
methods:
  majority: {{}}
  lp: {{learning_rate: 0.1}}
  mlp: {{learning_rate: 0.001}}
  nmtune: {{learning_rate: 0.001, weight: 0.01}}
  gce: {{learning_rate: 0.001}}
seeds: 3
"""
RECIPES = ("resnet-a", "resnet-b", "resnet-c", "resnet-d")
RECIPE = "{objective: supervised, architecture: resnet-mini, epochs: 3, batch_size: 8, learning_rate: 0.001}"
SEEDS, DIM, CLASSES = 3, 128, 10
STEPS = {
    "tables, figures and page": ["nml", "report"],
    "nml status": ["nml", "status"],
    "nml query, filters": ["nml", "query", "task=fashion", "method=nmtune"],
    "nml query, SQL": ["nml", "query", "SELECT method, avg(value) FROM cells WHERE metric = 'accuracy' GROUP BY ALL"],
}


def main() -> None:
    """Make what is missing, time each step, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=400, help="of each test set; default: %(default)s")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(options.folder)
    if not Path("config.yaml").is_file():
        make(options.images)
    for name, command in STEPS.items():
        seconds, cpu, memory = measured(command)
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {memory / 1e9:.2f} |", flush=True)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Return seconds, processor seconds and peak memory in bytes of a command, which must succeed."""
    start = time.perf_counter()
    code = "import sys; from nml.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *command[1:]], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def make(images: int) -> None:
    """Write the configuration, and every file that the report reads."""
    families = "\n".join(
        f"  - {{corpus: emoji, recipe: {name}, noise: {{symmetric: [2.5, 5, 10, 20, 30]}}, seeds: 5}}"
        for name in RECIPES
    )
    write_text("config.yaml", CONFIG.format(families=families, recipes="\n".join(f"  {n}: {RECIPE}" for n in RECIPES)))
    config, generator = load_config("config.yaml"), np.random.default_rng(0)
    sets = {task: tasks()[task].tests for task in config.tasks}
    for encoder in encoders_of(config):
        make_encoder(encoder)
        for task, groups in sets.items():
            make_spectrum(encoder, task, groups, generator)
            for method in config.methods:
                make_cell(encoder, task, method, groups, images, generator)
    cells = sum(
        len([o for o in job.outputs if o.endswith(".meta.json")]) for job in jobs_of(config) if job.rule == "tune"
    )
    print(f"made {cells} cells in {Path.cwd()}")


def make_encoder(encoder: Encoder) -> None:
    """Write what describes an encoder; its checkpoint is empty."""
    meta = {"address": str(encoder), "objective": "supervised", "architecture": encoder.recipe, "epochs": 3}
    meta |= {"realised_noise_percent": encoder.noise.percent, "validation_accuracy": 0.5}
    meta |= {"samples_per_second": 800.0, "wall_seconds": 100.0}
    header = "epoch,loss,accuracy,learning_rate,images_per_second,data_share,seconds,validation_accuracy\n"
    folder = Path(encoder_dir(encoder))
    write_text(folder / "model.safetensors", "")
    write_json(folder / "meta.json", meta)
    write_text(folder / "log.csv", header + "".join(f"{n},{3 / n},0.{n},0.001,800,0.1,7.5,0.{n}\n" for n in (1, 2, 3)))


def make_cell(
    encoder: Encoder, task: str, method: str, groups: dict[str, str], images: int, generator: np.random.Generator
) -> None:
    """Write a cell, its predictions and its metadata."""
    path = Path(cell_path(encoder, task, method))
    count = len(groups) * SEEDS
    labels = np.tile(np.arange(images) % CLASSES, count)
    right = generator.random(count * images) < 0.6
    predictions = np.where(right, labels, (labels + 1) % CLASSES)
    write_parquet(
        path.with_suffix(".predictions.parquet"),
        {
            "test_set": [name for name in groups for _ in range(SEEDS * images)],
            "fraction": np.full(count * images, 100),
            "seed": np.tile(np.repeat(np.arange(SEEDS), images), len(groups)),
            "key": [f"{image:06d}" for image in range(images)] * count,
            "label": labels,
            "prediction": predictions,
        },
    )
    places = [
        (group, name, seed, metric, float(right.reshape(len(groups), SEEDS, images)[place, seed].mean()))
        for place, (name, group) in enumerate(groups.items())
        for seed in range(SEEDS)
        for metric in ("accuracy", "mean_per_class_accuracy", "macro_f1")
    ]
    named = dict(
        zip(("group", "test_set", "seed", "metric", "value"), map(list, zip(*places, strict=True)), strict=True)
    )
    same = {**encoder.identity(), "task": task, "method": method, "fraction": 100, "n": images}
    write_parquet(path, {name: [value] * len(places) for name, value in same.items()} | named)
    shape = {"sve": 3 + generator.random(), "lsvr": 1 + generator.random(), "dominant_ratio": 0.3}
    spectra = dict.fromkeys(groups, shape) if method != "majority" else {}
    meta = {"wall_seconds": 1.5, "process_peak_memory_bytes": 10**9, "spectra": spectra}
    write_json(path.with_suffix(".meta.json"), meta)


def make_spectrum(encoder: Encoder, task: str, groups: dict[str, str], generator: np.random.Generator) -> None:
    """Write the spectra of an encoder on the test sets of a task."""
    rows = []
    for name, group in groups.items():
        sigma = np.arange(1, DIM + 1) ** -(0.8 + 0.2 * generator.random())
        share = sigma / sigma.sum()
        rows.append(
            {**encoder.identity(), "task": task, "group": group, "test_set": name, "n": 400, "dim": DIM,
             "singular_values": sigma.tolist(), "sve": float(-(share * np.log(share)).sum()),
             "lsvr": float(-np.log(share[0])), "dominant_ratio": float(share[0])}
        )  # fmt: skip
    write_parquet(spectrum_path(encoder, task), {name: [row[name] for row in rows] for name in rows[0]})


if __name__ == "__main__":
    main()
