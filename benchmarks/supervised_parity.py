"""Train one small ResNet with our engine and with timm's own training script, and compare.

`OMP_NUM_THREADS=1 python benchmarks/supervised_parity.py --reference <checkout of pytorch-image-models>`. The embedded
corpus with 20 % symmetric noise: ours by the overlay, theirs from an image folder made of materialised shards. The
same initial weights, optimiser, schedule, batch size and epochs, no augmentation, by turns. Printed are the mean loss
of each epoch, the accuracy on clean validation images after the last, and the images a second; of our models also the
accuracy that timm's own `validate.py` finds on the same images. At the end, the mean difference of the accuracies and
its standard error over the seeds. Theirs reads in a process of its own, ours in that of the training.
"""

import argparse
import csv
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from safetensors.torch import save_model
from torch import nn

from nml.artifacts import write_text
from nml.config.recipes import Augmentation, Recipe
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.corpora.shards import decode_image, decode_label, read_samples
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise
from nml.pretraining.engine import train
from nml.pretraining.model import build_model
from nml.pretraining.run import Run

EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 3, 128, 0.05, 0.9, 0.0001
SIZE = 32
# What `resnet-mini` is in timm's words.
MODEL_ARGUMENTS = ["layers=(1,1,1,1)", "channels=(32,64,128,128)", "stem_width=32", "zero_init_last=False"]
RECIPE = Recipe(
    objective="supervised",
    architecture="resnet-mini",
    epochs=EPOCHS,
    batch_size=BATCH,
    optimizer="sgd",
    learning_rate=RATE,
    momentum=MOMENTUM,
    weight_decay=DECAY,
    warmup_epochs=0,
    augmentation=Augmentation(min_scale=1, flip=False),
)
Result = tuple[list[float], float, float]


def ours(noise_dir: Path, folder: Path, seed: int) -> tuple[nn.Module, Result]:
    """Return the model, the mean loss of each epoch, the validation accuracy, and the images a second of the last."""
    run = Run("ours", open_corpus("emoji"), noise_dir, RECIPE, "resnet-mini", seed, folder / f"ours-{seed}", "")
    model, log = train(run)
    return model, ([row["loss"] for row in log], log[-1]["validation_accuracy"], log[-1]["images_per_second"])


def timm_options(images: Path, num_classes: int) -> list[str | Path | float]:
    """Return what both of timm's scripts need to know of the model and its images."""
    named = ["--data-dir", images, "--class-map", images / "classes.txt", "--num-classes", num_classes]
    named += ["--model", "resnet18", "--model-kwargs", *MODEL_ARGUMENTS, "--img-size", SIZE]
    named += ["--mean", 0.5, 0.5, 0.5, "--std", 0.5, 0.5, 0.5, "--crop-pct", 1.0, "--interpolation", "bilinear"]
    # Without a worker their loaders refuse to start.
    return [*named, "--device", "cpu", "--workers", 1, "--no-prefetcher", "--channels-last"]


def run_script(script: Path, arguments: Iterable[str | Path | float]) -> str:
    """Run one of timm's scripts; return all that it printed."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-3000:]}")
    return done.stderr + done.stdout


def theirs(reference: Path, images: Path, num_classes: int, folder: Path, seed: int) -> Result:
    """Return the same of timm's script, begun with our initial weights, from its log and its table of epochs."""
    initial = folder / f"initial-{seed}.safetensors"
    save_model(build_model(RECIPE, "resnet-mini", num_classes, seed), str(initial))
    options = {
        "--batch-size": BATCH, "--epochs": EPOCHS, "--opt": "momentum", "--lr": RATE, "--momentum": MOMENTUM,
        "--weight-decay": DECAY, "--clip-grad": 1.0, "--sched": "cosine", "--warmup-epochs": 0, "--min-lr": 0,
        "--smoothing": 0, "--log-interval": 1, "--seed": seed, "--checkpoint-hist": 1,
        "--initial-checkpoint": initial, "--output": folder, "--experiment": f"theirs-{seed}",
    }  # fmt: skip
    words = [word for pair in options.items() for word in pair]
    said = run_script(
        reference / "train.py", ["--no-aug", "--sched-on-updates", *words, *timm_options(images, num_classes)]
    )
    rows = list(csv.DictReader((folder / f"theirs-{seed}" / "summary.csv").open()))
    speeds = re.findall(rf"Train: {EPOCHS - 1} .*?Time: [\d.]+s, +([\d.]+)/s", said)
    accuracy = float(rows[-1]["eval_top1"]) / 100
    return [float(row["train_loss"]) for row in rows], accuracy, statistics.median(map(float, speeds))


def accuracy_by_timm(reference: Path, model: nn.Module, images: Path, num_classes: int, folder: Path) -> float:
    """Return the accuracy of a model of ours that timm's script for validation finds."""
    weights, found = folder / "ours.safetensors", folder / "found.json"
    save_model(model, str(weights))
    own = ["--checkpoint", weights, "--split", "validation"]
    own += ["--results-file", found, "--results-format", "json"]
    run_script(reference / "validate.py", [*timm_options(images, num_classes), *own])
    return json.loads(found.read_text())["top1"] / 100


def write_images(shards: Iterable[Path], classes: int, folder: Path) -> None:
    """Write the images of shards, losslessly, into one folder a class."""
    names = [f"{label:04}" for label in range(classes)]
    for name in names:
        (folder / name).mkdir(parents=True)
    # Without it, classes that a split lacks would shift the labels of those after them.
    write_text(folder.parent / "classes.txt", "".join(f"{name}\n" for name in names))
    for sample in read_samples(shards):
        path = folder / names[decode_label(sample, classes)] / f"{sample['__key__'].replace('/', '-')}.png"
        Image.fromarray(decode_image(sample)).save(path)


def show(who: str, seed: int, result: Result, more: str = "") -> None:
    """Print the row of one training."""
    losses, accuracy, speed = result
    curve = " ".join(f"{loss:.3f}" for loss in losses)
    print(f"{who:5} seed {seed}   loss by epoch {curve}   {accuracy:.1%}{more}   {speed:6.0f} images/s", flush=True)


def main(reference: Path, seeds: range) -> None:
    """Train by turns; print both curves and the difference of the accuracies."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, corpus = folder / "images", open_corpus("emoji")
        index_corpus(corpus, folder / "index")
        inject_noise(folder / "index", Noise("symmetric", 20), 0, folder / "noise")
        materialise(corpus, folder / "noise", folder / "shards")
        noisy, classes = [folder / "shards" / shard.name for shard in corpus.shards["train"]], len(corpus.class_names)
        write_images(noisy, classes, images / "train")
        write_images([shard.path for shard in corpus.shards["validation"]], classes, images / "validation")
        differences = []
        for seed in seeds:
            model, own = ours(folder / "noise", folder, seed)
            checked = accuracy_by_timm(reference, model, images, classes, folder)
            show("ours", seed, own, f" (by timm's validate.py {checked:.1%})")
            other = theirs(reference, images, classes, folder, seed)
            show("timm", seed, other)
            differences.append(own[1] - other[1])
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    print(f"accuracy, ours less timm's: {statistics.mean(differences):+.2%}, standard error {error:.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare our supervised training with timm's own script.")
    parser.add_argument("--reference", type=Path, required=True, help="checkout of pytorch-image-models")
    parser.add_argument("--seeds", type=int, default=8, help="how many, at least 2; default: %(default)s")
    parser.add_argument("--first-seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    started = time.perf_counter()
    main(options.reference, range(options.first_seed, options.first_seed + options.seeds))
    print(f"{time.perf_counter() - started:.0f} s")
