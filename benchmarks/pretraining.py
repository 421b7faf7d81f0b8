"""Time the training engine against a bare loop: `OMP_NUM_THREADS=1 python benchmarks/pretraining.py`.

The embedded corpus, the mini recipes, one epoch. The bare loop has its batches in memory, and does nothing but what the
recipe asks for: scale and augment, forward, loss, backward, clip, step. The two take turns.
"""

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
import yaml
from torch import nn

from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining import engine
from nml.pretraining.data import TrainingData
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.images import augment, normalise
from nml.pretraining.run import Run
from nml.pretraining.state import begin
from nml.pretraining.watching import Watcher
from nml.pretraining.world import ALONE, Consent
from nml.progress import Progress

ROUNDS = 5
NOISE = {"resnet-mini": "symmetric-20", "clip-mini": "swap-20"}


def bare_loop(run: Run, batches: list) -> float:
    """Train on batches that are in memory; return the seconds."""
    state, generator = begin(run, ALONE), torch.Generator().manual_seed(0)
    state.model.train()
    started = time.perf_counter()
    for images, targets in batches:
        images = augment(normalise(images, run.architecture.image_size), run.recipe.augmentation, generator)
        loss, _ = run.objective.loss(state.model, images, targets, run.recipe, ALONE)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), run.recipe.gradient_clip)
        state.optimizer.step()
    return time.perf_counter() - started


def with_engine(run: Run, data: TrainingData, sizes: list[int]) -> float:
    """Train an epoch with the engine; return the seconds."""
    state = begin(run, ALONE)
    started = time.perf_counter()
    engine._train_epoch(
        run, data, state.model, state, sizes, ALONE, Progress("epoch", len(sizes)), Watcher(), Consent(ALONE)
    )
    return time.perf_counter() - started


def main() -> None:
    """Compare both on each mini recipe."""
    recipes = yaml.safe_load(Path("config.yaml").read_text())["recipes"]
    corpus = open_corpus("emoji")
    with tempfile.TemporaryDirectory() as folder:
        index_corpus(corpus, Path(folder, "index"))
        for name, noise in NOISE.items():
            inject_noise(Path(folder, "index"), Noise.parse(noise), 0, Path(folder, noise))
            recipe = Recipe.model_validate(recipes[name])
            run = Run(name, corpus, Path(folder, noise), recipe, name, 0, Path(folder, "progress"), "")
            collate = partial(run.objective.collate, context_length=run.architecture.context_length)
            data = TrainingData(corpus, run.noise_dir, run.objective.TARGET, collate=collate)
            sizes = even_batches(data.samples, recipe.batch_size)
            batches = list(data.batches(sizes, 0))
            seconds = [[bare_loop(run, batches), with_engine(run, data, sizes)] for _ in range(ROUNDS)]
            bare, ours = (statistics.median(column) for column in zip(*seconds, strict=True))
            ratios = sorted(b / a for a, b in seconds)
            print(f"{name:12} bare {bare:6.2f} s   engine {ours:6.2f} s   x {statistics.median(ratios):.3f}", end="")
            print(f"   ({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)


if __name__ == "__main__":
    main()
