"""Decode photographs on a GPU, beside our loader, which does it on processors: `python benchmarks/gpu_decoding.py`.

Synthetic JPEGs of ImageNet's size from tars (benchmarks/loader.py) become normalised batches on the GPU: random crop,
bicubic scaling, mirror. Ours decodes and changes them in `--threads` less one processes. The other way, one process
reads the tars, and the GPU decodes (torchvision's `decode_jpeg`, by nvJPEG), crops and scales. Printed are the images a
second of both, of the parts of the second, and by how many of 255 levels its pixels differ. While a GPU decodes it does
not train: what is left of a training's speed is 1 / (1 / training + 1 / decoding). Without a GPU, processors do all of
it, which tests the code: `--images 96 --batch-size 16`.
"""

import argparse
import io
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from loader import photograph, write_corpus
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import Corpus
from nml.corpora.index import index_corpus
from nml.corpora.shards import read_samples
from nml.devices import choose_device, describe_device, limit_threads
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining.data import Stream, TrainingData, loaded
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.inputs import standardise
from nml.pretraining.random_box import random_box
from nml.pretraining.world import ALONE

HOW = ImageTransform(size=224)
CLASSES = 10
COMPARED = 64


def encoded_batches(corpus: Corpus, size: int) -> Iterator[list[torch.Tensor]]:
    """Yield the JPEGs of the training shards as they are stored, uint8 [bytes] each."""
    samples = read_samples(shard.path for shard in corpus.shards["train"])
    while batch := list(islice(samples, size)):
        yield [torch.frombuffer(bytearray(sample["jpg"]), dtype=torch.uint8) for sample in batch]


def decoded(encoded: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Return the images, uint8 [3, H, W], on the device."""
    return decode_jpeg(encoded, ImageReadMode.RGB, device)


def changed(images: list[torch.Tensor], seed: int) -> torch.Tensor:
    """Crop, scale and mirror each image where it lies; return float32 [B, 3, S, S], normalised."""
    rng = random.Random(seed)
    made = torch.cat([_changed(image, rng) for image in images])
    return standardise(made, HOW.mean, HOW.std)


def _changed(image: torch.Tensor, rng: random.Random) -> torch.Tensor:
    left, top, right, bottom = random_box(image.shape[2], image.shape[1], HOW.crop_scale, rng)
    crop = image[None, :, top:bottom, left:right].float()
    scaled = F.interpolate(crop, (HOW.size, HOW.size), mode=HOW.interpolation, antialias=True).clamp(0, 255)
    return scaled.flip(3) if rng.random() < 0.5 else scaled


def images_per_second(batches: Iterable[Sized], warm_up: int) -> float:
    """Return how fast batches come, from the one after the first `warm_up` on."""
    images, batches = 0, iter(batches)
    for _ in range(warm_up):
        next(batches)
    _wait()
    started = time.perf_counter()
    for batch in batches:
        images += len(batch)
    _wait()
    return images / (time.perf_counter() - started)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def our_batches(corpus: Corpus, noise_dir: Path, size: int, workers: int) -> Iterator[torch.Tensor]:
    """Yield an epoch of our loader, normalised on the device."""
    data = TrainingData(corpus, noise_dir, "label", workers=1, how=HOW)
    stream = Stream(data, even_batches(data.samples, size), 0, ALONE, 0)
    return (standardise(ALONE.send(batch.images), HOW.mean, HOW.std) for batch in loaded(stream, workers))


def levels_apart(encoded: list[torch.Tensor], device: torch.device) -> float:
    """Return the mean difference between the pixels of both decoders, of 255 levels."""
    apart = [
        (image.cpu().int() - _by_pillow(data).int()).abs().float().mean()
        for data, image in zip(encoded, decoded(encoded, device), strict=True)
    ]
    return torch.stack(apart).mean().item()


def _by_pillow(encoded: torch.Tensor) -> torch.Tensor:
    with Image.open(io.BytesIO(encoded.numpy().tobytes())) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def show(name: str, batches: Iterable[Sized], warm_up: int = 1) -> None:
    """Print the images a second of one way."""
    print(f"| {name} | {images_per_second(batches, warm_up):,.0f} |", flush=True)


def compare(corpus: Corpus, noise_dir: Path, size: int, workers: int) -> None:
    """Print a row for each way, and for each part of the second."""
    device = choose_device()
    print(f"device: {describe_device()['device']}")
    print("| from JPEGs to batches at 224 px | images/s |")
    # By then each worker has made its first batch.
    show(f"our loader, {workers} workers", our_batches(corpus, noise_dir, size, workers), workers + 1)
    stored = encoded_batches(corpus, size)
    show("read here, decoded and changed on the device", (changed(decoded(batch, device), 0) for batch in stored))
    few = list(islice(encoded_batches(corpus, size), 5))
    show("read alone", encoded_batches(corpus, size))
    show("decode alone", (decoded(batch, device) for batch in few))
    images = [decoded(batch, device) for batch in few]
    show("crop, scale, mirror and normalise alone", (changed(batch, 0) for batch in images))
    apart = levels_apart(few[0][:COMPARED], device)
    print(f"Before they are scaled, its pixels are {apart:.2f} of 255 levels from Pillow's in the mean.")


def main() -> None:
    """Write the shards, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16_384, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="one trains, the others load; default: %(default)s")
    options = parser.parse_args()
    if options.images // options.batch_size <= options.threads:
        parser.error("--images must be more than --threads batches: the first one of each worker does not count")
    limit_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = write_corpus(Path(scratch, "corpus"), options.images, CLASSES, photograph)
        index_corpus(corpus, Path(scratch, "index"))
        inject_noise(Path(scratch, "index"), Noise(), 0, Path(scratch, "clean"))
        compare(corpus, Path(scratch, "clean"), options.batch_size, options.threads - 1)


if __name__ == "__main__":
    main()
