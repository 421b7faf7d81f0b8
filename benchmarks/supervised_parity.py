"""Train one small ResNet with our engine and with timm's own training script, and compare.

`OMP_NUM_THREADS=1 python benchmarks/supervised_parity.py --reference <checkout of pytorch-image-models>`. The embedded
corpus with 20 % symmetric noise: ours by the overlay, theirs from an image folder made of materialised shards. The
same model, optimiser, schedule, batch size and epochs, no augmentation, three seeds each, by turns. Printed are the
mean loss of each epoch, the accuracy on clean validation images after the last, and the images a second.
"""

import argparse
import csv
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PIL import Image

from nml.artifacts import write_text
from nml.config.recipes import Augmentation, Recipe
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.corpora.shards import decode_image, decode_label, read_samples
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise
from nml.pretraining.engine import Run, train

EPOCHS, BATCH, RATE, MOMENTUM, DECAY, SEEDS = 3, 128, 0.05, 0.9, 0.0001, (0, 1, 2)
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


def ours(noise_dir: Path, folder: Path, seed: int) -> Result:
    """Return the mean loss of each epoch, the validation accuracy, and the images a second of the last epoch."""
    run = Run("ours", open_corpus("emoji"), noise_dir, RECIPE, "resnet-mini", seed, folder / f"ours-{seed}", "")
    log = train(run)[1]
    return [row["loss"] for row in log], log[-1]["validation_accuracy"], log[-1]["images_per_second"]


def theirs(script: Path, images: Path, num_classes: int, folder: Path, seed: int) -> Result:
    """Return the same of timm's script, from its log and its table of epochs."""
    options = {
        "--data-dir": images, "--model": "resnet18", "--num-classes": num_classes, "--img-size": SIZE,
        "--device": "cpu", "--workers": 0, "--batch-size": BATCH, "--epochs": EPOCHS, "--opt": "momentum", "--lr": RATE,
        "--momentum": MOMENTUM, "--weight-decay": DECAY, "--clip-grad": 1.0, "--sched": "cosine", "--warmup-epochs": 0,
        "--min-lr": 0, "--smoothing": 0, "--crop-pct": 1.0, "--interpolation": "bilinear", "--log-interval": 1,
        "--class-map": images / "classes.txt", "--seed": seed, "--checkpoint-hist": 1,
        "--output": folder, "--experiment": f"theirs-{seed}",
    }  # fmt: skip
    command = [sys.executable, script, "--no-aug", "--no-prefetcher", "--sched-on-updates", "--channels-last"]
    command += [word for pair in options.items() for word in pair]
    command += ["--model-kwargs", *MODEL_ARGUMENTS, "--mean", 0.5, 0.5, 0.5, "--std", 0.5, 0.5, 0.5]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"timm's script failed:\n{done.stderr[-3000:]}")
    rows = list(csv.DictReader((folder / f"theirs-{seed}" / "summary.csv").open()))
    speeds = re.findall(rf"Train: {EPOCHS - 1} .*?Time: [\d.]+s, +([\d.]+)/s", done.stderr + done.stdout)
    accuracy = float(rows[-1]["eval_top1"]) / 100
    return [float(row["train_loss"]) for row in rows], accuracy, statistics.median(map(float, speeds))


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


def main(script: Path) -> None:
    """Train by turns and print both curves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = open_corpus("emoji")
        index_corpus(corpus, folder / "index")
        inject_noise(folder / "index", Noise("symmetric", 20), 0, folder / "noise")
        materialise(corpus, folder / "noise", folder / "shards")
        noisy, classes = [folder / "shards" / shard.name for shard in corpus.shards["train"]], len(corpus.class_names)
        write_images(noisy, classes, folder / "images/train")
        write_images([shard.path for shard in corpus.shards["validation"]], classes, folder / "images/validation")
        for seed in SEEDS:
            for who, result in (
                ("ours", partial(ours, folder / "noise", folder, seed)),
                ("timm", partial(theirs, script, folder / "images", classes, folder, seed)),
            ):
                losses, accuracy, speed = result()
                curve = " ".join(f"{loss:.3f}" for loss in losses)
                print(
                    f"{who:5} seed {seed}   loss by epoch {curve}   {accuracy:.1%}   {speed:6.0f} images/s", flush=True
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare our supervised training with timm's own script.")
    parser.add_argument("--reference", type=Path, required=True, help="checkout of pytorch-image-models")
    started = time.perf_counter()
    main(parser.parse_args().reference / "train.py")
    print(f"{time.perf_counter() - started:.0f} s")
