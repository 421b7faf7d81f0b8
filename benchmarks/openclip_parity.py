"""Train one small CLIP with our engine and with open_clip's own trainer, and compare.

`OMP_NUM_THREADS=1 python benchmarks/openclip_parity.py`. The embedded corpus with 20 % swapped captions: ours by the
overlay, theirs from materialised shards. The same model, optimiser, schedule, batch size and epochs, no augmentation,
three seeds each, by turns. Printed are the mean loss of each epoch and the images a second.
"""

import json
import re
import statistics
import sys
import tempfile
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from nml.config.recipes import Augmentation, Recipe
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.materialise import materialise
from nml.pretraining.architectures import clip_mini
from nml.pretraining.engine import train
from nml.pretraining.run import Run

EPOCHS, BATCH, RATE, DECAY, SEEDS = 3, 128, 0.001, 0.1, (0, 1, 2)
RECIPE = Recipe(
    objective="contrastive",
    architecture="clip-mini",
    epochs=EPOCHS,
    batch_size=BATCH,
    learning_rate=RATE,
    weight_decay=DECAY,
    betas=(0.9, 0.98),
    warmup_epochs=1,
    augmentation=Augmentation(min_scale=1, flip=False),
)


def ours(noise_dir: Path, folder: Path, seed: int) -> tuple[list[float], float]:
    """Return the mean loss of each epoch, and the images a second of the last."""
    run = Run("ours", open_corpus("emoji"), noise_dir, RECIPE, "clip-mini", seed, folder / f"ours-{seed}", "")
    log = train(run)[1]
    return [row["loss"] for row in log], log[-1]["images_per_second"]


def theirs(shards: list[Path], folder: Path, seed: int) -> tuple[list[float], float]:
    """Return the same of open_clip's trainer, from its log; it runs in a process of its own."""
    steps = -(-6066 // BATCH)
    options = {
        "--train-data": "::".join(map(str, shards)), "--dataset-type": "webdataset", "--model": "clip-mini-parity",
        "--device": "cpu", "--workers": "0", "--batch-size": BATCH, "--epochs": EPOCHS, "--lr": RATE, "--wd": DECAY,
        "--beta1": 0.9, "--beta2": 0.98, "--eps": 1e-8, "--warmup": steps, "--precision": "fp32", "--seed": seed,
        "--grad-clip-norm": 1.0, "--log-every-n-steps": 1, "--logs": folder, "--name": f"theirs-{seed}",
    }  # fmt: skip
    arguments = [str(word) for pair in options.items() for word in pair]
    arguments += ["--image-mean", "0.5", "0.5", "0.5", "--image-std", "0.5", "0.5", "0.5"]
    arguments += ["--aug-cfg", "scale=(1.0,1.0)", "ratio=(1.0,1.0)"]
    process = get_context("spawn").Process(target=_their_training, args=(folder, arguments))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("open_clip's trainer failed")
    log = (folder / f"theirs-{seed}" / "out.log").read_text()
    found = re.findall(r"Train Epoch: (\d+) .*?Batch \(t\): ([\d.]+).*?Contrastive_loss: ([\d.]+)", log)
    losses = [statistics.mean(float(loss) for epoch, _, loss in found if int(epoch) == e) for e in range(EPOCHS)]
    return losses, BATCH / statistics.median(float(seconds) for epoch, seconds, _ in found if int(epoch) == EPOCHS - 1)


def _their_training(folder: Path, arguments: list[str]) -> None:
    import open_clip
    import torch
    from open_clip_train import data
    from open_clip_train.main import main

    torch.set_num_threads(1)
    open_clip.add_model_config(folder / "clip-mini-parity.json")
    # The trainer asks for a webdataset of before 0.2.90, which did not mark where a tar ends.
    data.tar_file_expander = partial(data.tar_file_expander, eof_value=None)
    main(arguments)


def write_model(path: Path) -> None:
    """Write our small CLIP as a configuration of open_clip's."""
    path.write_text(json.dumps(clip_mini.OPEN_CLIP))


def main() -> None:
    """Train by turns and print both curves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = open_corpus("emoji")
        index_corpus(corpus, folder / "index")
        inject_noise(folder / "index", Noise("swap", 20), 0, folder / "noise")
        materialise(corpus, folder / "noise", folder / "shards")
        write_model(folder / "clip-mini-parity.json")
        shards = [folder / "shards" / shard.name for shard in corpus.shards["train"]]
        for seed in SEEDS:
            for who, (losses, speed) in (
                ("ours", ours(folder / "noise", folder, seed)),
                ("open_clip", theirs(shards, folder, seed)),
            ):
                curve = " ".join(f"{loss:.3f}" for loss in losses)
                print(f"{who:10} seed {seed}   loss by epoch {curve}   {speed:6.0f} images/s", flush=True)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s")
