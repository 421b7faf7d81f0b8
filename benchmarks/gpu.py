"""Train ResNet-50 and CLIP ViT-B/16 in bfloat16 on a GPU: `python benchmarks/gpu.py --threads 16 --peak 989`.

Two epochs by the engine at 224 px, of synthetic JPEGs of ImageNet's size with labels and captions, from tars; the
second counts. Beside it the ceiling, the same steps on one batch that is in memory, the share of it that the engine
reaches, how long it waits for data, what share of the GPU's peak (`--peak`, TFLOP/s of dense bfloat16) the products
take, and the most memory that the engine held. A processor can test it with `--images 8 --batch-size 2`, in minutes a
recipe.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from loader import photograph, write_corpus
from torch.utils.flop_counter import FlopCounterMode

from nml.config.load import check_config
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.corpora.index import index_corpus
from nml.devices import describe_device, limit_threads, peak_memory
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining import architectures
from nml.pretraining.engine import train
from nml.pretraining.measure import measure
from nml.pretraining.run import Run

SHIPPED = ("resnet50-torchvision-v1", "clip-vit-b16")
CLASSES = 100


def recipe(name: str, batch_size: int) -> Recipe:
    """Return a shipped recipe of two epochs with another batch size."""
    changed = {"base": name, "epochs": 2, "batch_size": batch_size, "precision": "bf16", "warmup_epochs": 0}
    changed |= {"warmup_steps": None, "milestones": [], "schedule": "cosine"}
    values = {"name": "gpu", "pretraining": [{"corpus": "emoji", "recipe": "it"}], "recipes": {"it": changed}}
    values |= {"tasks": ["letters"], "methods": {"majority": {}}}
    return check_config(values).recipes["it"]


def run_of(name: str, how: Recipe, corpus: Corpus, folder: Path, loaders: int) -> Run:
    """Return a training on the corpus without noise."""
    index_corpus(corpus, folder / "index")
    inject_noise(folder / "index", Noise("clean"), 0, folder / "noise")
    return Run(name, corpus, folder / "noise", how, name, 0, folder / "progress", "benchmark", loaders)


def operations(how: Recipe) -> float:
    """Return the floating-point operations of a training step on one image and its caption: three forward passes."""
    architecture = architectures.of_recipe(how)
    model = architecture.build(CLASSES).eval()
    inputs = [torch.zeros(1, 3, architecture.image_size, architecture.image_size)]
    if architecture.context_length:
        inputs.append(torch.zeros(1, architecture.context_length, dtype=torch.int64))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    return 3 * counter.get_total_flops()


def main() -> None:
    """Print a row for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=SHIPPED, metavar="NAME")
    parser.add_argument("--images", type=int, default=32_768, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="one trains, the others load; default: %(default)s")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device")
    options = parser.parse_args()
    limit_threads(1)
    print("device:", describe_device()["device"])
    print("| recipe | ceiling, images/s | engine, images/s | share | waiting | TFLOP/s | of the peak | memory, GB |")
    with tempfile.TemporaryDirectory() as scratch:
        corpus = write_corpus(Path(scratch, "corpus"), options.images, CLASSES, photograph)
        for name in options.recipes:
            how = recipe(name, options.batch_size)
            ceiling = measure(how, name, CLASSES)
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
            _, log = train(run_of(name, how, corpus, Path(scratch, name), options.threads - 1))
            speed = log[-1]["images_per_second"]
            rate = operations(how) * speed / 1e12
            share = f"{rate / options.peak:.1%}" if options.peak else "?"
            print(
                f"| {name} | {ceiling['images_per_second']:,.1f} | {speed:,.1f} | "
                f"{speed / ceiling['images_per_second']:.1%} | {log[-1]['data_share']:.1%} | {rate:.3f} | {share} | "
                f"{peak_memory() / 1e9:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
