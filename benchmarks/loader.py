"""Time our loader of photographs against a plain pipeline: `OMP_NUM_THREADS=1 python benchmarks/loader.py`.

1,536 JPEGs of ImageNet's size (500 x 375 pixels, about 90 kB, smooth colours with some grain) are written into
`build/benchmarks`, in shards with labels. The plain pipeline is webdataset, Pillow and torchvision: decode,
RandomResizedCrop, flip, ToTensor. Both run in one process and take turns; images per second of processor time, so for
each core that loads. Then where the time of an image goes, and what other ways to decode would give.
"""

import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from PIL import Image
from torchvision import transforms
from torchvision.io import decode_jpeg
from torchvision.transforms import InterpolationMode
from webdataset import TarWriter

from nml.artifacts import atomic_path
from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.index import index_corpus
from nml.corpora.shards import read_samples
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.pretraining.data import Stream, TrainingData
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.images import stack_images
from nml.pretraining.inputs import standardise
from nml.pretraining.random_box import random_box
from nml.pretraining.transforms import training_transform
from nml.pretraining.world import ALONE

FOLDER = Path("build/benchmarks/photographs")
SHARDS, SAMPLES, CLASSES = 6, 256, 10
BATCH, ROUNDS, PROFILED = 256, 3, 128
SIZES = (224, 160)


def photograph(rng: np.random.Generator) -> bytes:
    """Return a JPEG with the size, and about the bytes, of a photograph of ImageNet."""
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
    grain = rng.normal(0, 11, (375, 500, 1))
    data = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(data, "jpeg", quality=90)
    return data.getvalue()


def write_corpus(folder: Path, images: int, classes: int, draw: Callable[[np.random.Generator], bytes]) -> Corpus:
    """Write shards of images with labels and captions, unless they are there, and a small one for validation."""
    rng = np.random.default_rng(0)
    train = [
        write_shard(folder / f"{start:08d}.tar", min(SAMPLES, images - start), classes, rng, draw)
        for start in range(0, images, SAMPLES)
    ]
    validation = [write_shard(folder / "validation.tar", min(SAMPLES, images), classes, rng, draw)]
    names = [f"class {number}" for number in range(classes)]
    splits = {"train": train, "validation": validation}
    return Corpus("benchmark", splits, names, ["a picture of {}"], ("labels", "captions"))


def write_shard(
    path: Path, images: int, classes: int, rng: np.random.Generator, draw: Callable[[np.random.Generator], bytes]
) -> Shard:
    """Write one shard, unless it is there."""
    if not path.is_file():
        with atomic_path(path) as temporary, TarWriter(str(temporary)) as tar:
            for sample in range(images):
                label = sample % classes
                texts = {"cls": str(label), "txt": f"a picture of class {label}, number {sample}"}
                tar.write({"__key__": f"{path.stem}x{sample:05d}", **texts, "jpg": draw(rng)})
    return Shard(path.name, path)


def plain_epoch(corpus: Corpus, size: int) -> None:
    """Load an epoch as a script of a few lines does."""
    crop = transforms.RandomResizedCrop(size, interpolation=InterpolationMode.BICUBIC)
    change = transforms.Compose([crop, transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    stream = wds.WebDataset([str(shard.path) for shard in corpus.shards["train"]], shardshuffle=SHARDS)
    stream = stream.shuffle(1000).decode("pil").to_tuple("jpg", "cls").map_tuple(change, int).batched(BATCH)
    assert sum(len(labels) for _, labels in stream) == SHARDS * SAMPLES


def our_epoch(data: TrainingData) -> None:
    """Load an epoch with our loader."""
    stream = Stream(data, even_batches(data.samples, BATCH), 0, ALONE, 0)
    assert sum(len(batch.targets) for batch in stream) == SHARDS * SAMPLES


def seconds_of(function: Callable[[], object]) -> float:
    """Return the processor seconds that a call takes."""
    started = time.process_time()
    function()
    return time.process_time() - started


def compare(corpus: Corpus, noise_dir: Path, size: int) -> None:
    """Print the images per second of both, and the median of the rounds' ratios."""
    data = TrainingData(corpus, noise_dir, "label", workers=1, how=ImageTransform(size=size))
    seconds = [
        [seconds_of(lambda: plain_epoch(corpus, size)), seconds_of(lambda: our_epoch(data))] for _ in range(ROUNDS)
    ]
    plain, ours = (SHARDS * SAMPLES / statistics.median(column) for column in zip(*seconds, strict=True))
    ratios = sorted(first / second for first, second in seconds)
    print(
        f"{size} px: plain {plain:5.0f} images/s   ours {ours:5.0f} images/s   x {statistics.median(ratios):.2f}",
        end="",
    )
    print(f"   ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def drafted(data: bytes, size: int, seed: int) -> np.ndarray:
    """Decode at the largest reduction that still has the crop in full, then crop and scale."""
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        left, top, right, bottom = random_box(width, height, (0.08, 1.0), random.Random(seed))
        reduction = max(1, min(right - left, bottom - top) // size)
        image.draft("RGB", (width // reduction, height // reduction))
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, right * across, bottom * down)
        return np.asarray(image.convert("RGB").resize((size, size), Image.BICUBIC, box))


def cropped(data: bytes, size: int, seed: int) -> np.ndarray:
    """Decode in full, then crop and scale."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    box = random_box(*image.size, (0.08, 1.0), random.Random(seed))
    return np.asarray(image.crop(box).resize((size, size), Image.BICUBIC))


def per_image(name: str, function: Callable[[int], object]) -> None:
    """Print the milliseconds of processor time of a step, the median of three passes."""
    passes = [seconds_of(lambda: [function(number) for number in range(PROFILED)]) for _ in range(3)]
    print(f"  {name:52} {1000 * statistics.median(passes) / PROFILED:6.2f} ms", flush=True)


def profile(corpus: Corpus, size: int) -> None:
    """Print where the time of an image goes."""
    shard = corpus.shards["train"][0].path
    encoded = [sample["jpg"] for sample in read_samples([shard])][:PROFILED]
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in encoded]
    plain, strong = (
        training_transform(ImageTransform(size=size, rand_augment=notation))
        for notation in (None, "rand-m7-mstd0.5-inc1")
    )
    small = [plain(image, number) for number, image in enumerate(images)]
    tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in encoded]
    how = ImageTransform(size=size)
    print(f"one image at {size} px, {sum(map(len, encoded)) / len(encoded) / 1000:.0f} kB:")
    reading = statistics.median(seconds_of(lambda: list(read_samples([shard]))) for _ in range(3))
    print(f"  {'read from the tar':52} {1000 * reading / SAMPLES:6.2f} ms")
    per_image("decode (Pillow)", lambda n: Image.open(io.BytesIO(encoded[n])).convert("RGB"))
    per_image("crop, scale, flip", lambda n: plain(images[n], n))
    per_image("crop, scale, flip, RandAugment m7", lambda n: strong(images[n], n))
    per_image("collate", lambda n: n % PROFILED or stack_images(small))
    per_image(
        "normalise (on the device; here on the CPU)",
        lambda n: n % PROFILED or standardise(stack_images(small), how.mean, how.std),
    )
    per_image("other: decode with torchvision's decode_jpeg", lambda n: decode_jpeg(tensors[n]))
    per_image("other: decode, crop, scale", lambda n: cropped(encoded[n], size, n))
    per_image("other: the same with a reduced decoding (draft)", lambda n: drafted(encoded[n], size, n))
    off = [np.abs(drafted(d, size, n).astype(int) - cropped(d, size, n)).mean() for n, d in enumerate(encoded)]
    print(
        f"  a reduced decoding changes {np.mean(np.array(off) > 0.5):.0%} of the images, by up to {max(off):.1f} levels"
    )


def main() -> None:
    """Compare, then profile."""
    torch.set_num_threads(1)
    corpus = write_corpus(FOLDER, SHARDS * SAMPLES, CLASSES, photograph)
    with tempfile.TemporaryDirectory() as folder:
        index_corpus(corpus, Path(folder, "index"))
        inject_noise(Path(folder, "index"), Noise(), 0, Path(folder, "clean"))
        for size in SIZES:
            compare(corpus, Path(folder, "clean"), size)
            profile(corpus, size)


if __name__ == "__main__":
    main()
