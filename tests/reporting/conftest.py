"""A small made-up study with known structure: noise lowers OOD accuracy and changes the spectrum a little."""

from pathlib import Path

import numpy as np
import pytest

from nml.artifacts import write_json, write_parquet, write_text
from nml.grid import Encoder, cell_path, encoder_dir, spectrum_path
from nml.reporting.figures import draw_figures
from nml.reporting.report import write_report
from nml.reporting.tables import build_tables
from tests.conftest import made_once

PERCENTS = (0, 5, 10, 20, 30)
RECIPES = {"resnet-mini": "symmetric", "clip-mini": "swap"}
ID_TASKS = tuple(f"task-{number:02d}" for number in range(14))
DOMAINS = ("twemoji", "fluent-3d", "openmoji", "monotone")
METHODS = {"majority": 0.0, "lp": 0.0, "mlp": 0.012, "nmtune": 0.02}
METRICS = {"accuracy": 0.0, "mean_per_class_accuracy": -0.01, "macro_f1": -0.02}
SEEDS = (0, 1, 2)
DIM = 64


def addresses() -> list[str]:
    trained = [
        f"emoji/{recipe}/{f'{kind}-{percent}' if percent else 'clean'}/s0"
        for recipe, kind in RECIPES.items()
        for percent in PERCENTS
    ]
    return [*trained, *(f"emoji/{recipe}/untrained/s0" for recipe in RECIPES)]


def sets_of(task: str) -> list[tuple[str, str]]:
    """Group and name of each of the task's test sets."""
    return [("id", "test")] if task in ID_TASKS else [("source", "noto"), *(("ood", name) for name in DOMAINS)]


def quality(encoder: Encoder, task: str, group: str) -> float:
    """Return the linear probe's expected accuracy, before the noise of seeds."""
    level = 0.45 + 0.5 * (hash_unit(task) if group == "id" else 0.3)
    if not encoder.is_trained:
        return level * (0.72 if group == "id" else 0.45)
    noise = encoder.noise.percent / 30
    bonus = 0.03 * noise * (1 - noise) - 0.015 * noise if group == "id" else -0.09 * noise
    return level + bonus - (0.03 if encoder.recipe == "clip-mini" else 0)


def hash_unit(text: str) -> float:
    return (sum(ord(letter) * 37**place for place, letter in enumerate(text)) % 1009) / 1009


def make_cell(root: Path, encoder: Encoder, task: str, method: str, generator: np.random.Generator) -> Path:
    rows = []
    for group, name in sets_of(task):
        for seed in SEEDS:
            value = quality(encoder, task, group) + METHODS[method] + generator.normal(0, 0.006)
            value = value if method != "majority" else 0.05 + 0.3 * hash_unit(task)
            rows += [
                {**encoder.identity(), "task": task, "group": group, "test_set": name, "method": method,
                 "fraction": 100, "seed": seed, "metric": metric, "value": float(np.clip(value + shift, 0, 1)),
                 "n": 600}
                for metric, shift in METRICS.items()
            ]  # fmt: skip
    path = root / cell_path(encoder, task, method)
    write_parquet(path, {name: [row[name] for row in rows] for name in rows[0]})
    spectra = {name: tuned_spectrum(encoder, task, method) for _, name in sets_of(task)} if method != "majority" else {}
    meta = {"wall_seconds": 1.5, "process_peak_memory_bytes": 10**9, "spectra": spectra}
    write_json(path.with_suffix(".meta.json"), meta)
    make_predictions(path.with_suffix(".predictions.parquet"), task, generator)
    return path


def tuned_spectrum(encoder: Encoder, task: str, method: str) -> dict[str, float]:
    """Return a spectrum that noise flattens, and each method by a step of its own."""
    sve = 2.0 + hash_unit(task) + 0.01 * encoder.noise.percent - 0.1 * list(METHODS).index(method)
    return {"sve": sve, "lsvr": sve / 2, "dominant_ratio": float(np.exp(-sve / 2))}


def make_predictions(path: Path, task: str, generator: np.random.Generator) -> None:
    """Write two views each of ten drawings; a third of them are right, mostly the same ones with every encoder."""
    blocks = [(name, seed, f"drawing{place // 2}__{place % 2}") for _, name in sets_of(task) for seed in SEEDS
              for place in range(20)]  # fmt: skip
    columns = dict(zip(("test_set", "seed", "key"), map(list, zip(*blocks, strict=True)), strict=True))
    place = np.arange(len(blocks))
    labels, wrong = place % 3, np.where(place % 20 < 6, 0, 1)
    flipped = generator.random(len(blocks)) < 0.02
    predictions = (labels + np.where(flipped, 1 - wrong, wrong)) % 3
    write_parquet(path, {**columns, "fraction": [100] * len(blocks), "label": labels, "prediction": predictions})


def make_spectrum(root: Path, encoder: Encoder, task: str, generator: np.random.Generator) -> Path:
    rows = []
    for group, name in sets_of(task):
        slope = 0.8 + 0.25 * hash_unit(task) + (0.006 * encoder.noise.percent if encoder.is_trained else 0.5)
        values = np.arange(1, DIM + 1) ** -(slope + generator.normal(0, 0.02))
        share = values / values.sum()
        rows.append(
            {**encoder.identity(), "task": task, "group": group, "test_set": name, "n": 600, "dim": DIM,
             "singular_values": (values * 30).tolist(), "sve": float(-(share * np.log(share)).sum()),
             "lsvr": float(-np.log(share[0])), "dominant_ratio": float(share[0])}
        )  # fmt: skip
    path = root / spectrum_path(encoder, task)
    write_parquet(path, {name: [row[name] for row in rows] for name in rows[0]})
    return path


def make_meta(root: Path, encoder: Encoder) -> Path:
    path = root / encoder_dir(encoder) / "meta.json"
    meta = {
        "address": str(encoder),
        "objective": "supervised" if encoder.recipe == "resnet-mini" else "contrastive",
        "architecture": encoder.recipe,
        "realised_noise_percent": encoder.noise.percent * 0.998,
        "validation_accuracy": (0.62 if encoder.recipe == "resnet-mini" else 0.31) - 0.004 * encoder.noise.percent,
        "epochs": 30,
        "samples_per_second": 812.4,
        "wall_seconds": 143.2,
        "checkpoint_sha256": "0" * 64,
    }
    untrained = {"address": str(encoder), "objective": None, "validation_accuracy": None}
    write_json(path, meta if encoder.is_trained else untrained)
    if encoder.is_trained:
        make_log(path.with_name("log.csv"), meta["validation_accuracy"])
    return path


def make_log(path: Path, reached: float) -> None:
    """Write three epochs, the last of which reaches an accuracy."""
    header = "epoch,loss,accuracy,learning_rate,images_per_second,data_share,seconds,validation_accuracy"
    rows = [f"{n},{3 / n},0.{n},0.001,800,0.25,7.5,{reached * n / 3}" for n in (1, 2, 3)]
    write_text(path, "\n".join([header, *rows]) + "\n")


def make_study(root: Path) -> None:
    """Write files of 12 encoders x 15 tasks x 4 methods."""
    generator = np.random.default_rng(0)
    encoders = [Encoder.parse(address) for address in addresses()]
    pairs = [(encoder, task) for encoder in encoders for task in (*ID_TASKS, "emoji-noto")]
    for pair in pairs:
        for method in METHODS:
            make_cell(root, *pair, method, generator)
    for pair in pairs:
        make_spectrum(root, *pair, generator)
    for encoder in encoders:
        make_meta(root, encoder)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The made-up study's files. They, the tables and the figures are made by one of pytest's processes for all."""
    results = made_once(tmp_path_factory, "study", make_study) / "results"
    cells = [path for path in (results / "cells").rglob("*.parquet") if ".predictions" not in path.name]
    return {
        "cell_files": sorted(cells),
        "spectrum_files": sorted((results / "spectra").rglob("*.parquet")),
        "encoder_metas": sorted((results / "encoders").rglob("meta.json")),
    }


@pytest.fixture(scope="session")
def tables_dir(study: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "tables", lambda folder: build_tables(**study, out_dir=folder))


@pytest.fixture(scope="session")
def figures_dir(tables_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "figures", lambda folder: draw_figures(tables_dir, folder))


@pytest.fixture(scope="session")
def report(tables_dir: Path, figures_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "index.html"
    write_report(tables_dir, figures_dir, out, "A made-up study")
    return out
