"""Time the grid {LP, MLP, NMTune} x 3 seeds on features of a ResNet-50 (2,048) against two other ways to train it.

Run `OMP_NUM_THREADS=1 python benchmarks/tuning_grid.py`; it runs on a GPU where there is one. One head after the other
is `train_alone` of benchmarks/tuning.py; in the style of the reference it runs the encoder again over the training
images and the test images in each epoch. A few epochs and images are timed, and scaled to the whole (30 epochs), of
which each is a multiple. Features are random, of the size that they stand for; times are processor seconds, on a GPU
wall seconds.
"""

from collections.abc import Callable

import numpy as np
import timm
import torch
from tuning import make_data, seconds, train_alone

from nml.devices import choose_device, describe_device
from nml.tasks.task import open_task, read_split
from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec

EPOCHS, SEEDS, BATCH_SIZE, WIDTH, SIDE = 30, range(3), 64, 2048, 224
RATES = {"lp": (0.1, 0.0), "mlp": (1e-3, 1e-4), "nmtune": (1e-3, 1e-4)}
TASK, TASK_CLASSES, TRAIN, VALIDATION, TEST = "fashion", 10, 1200, 300, 800
LARGE, LARGE_CLASSES = 20_000, 100
TIMED_IMAGES, TIMED_SAMPLES = 32, 1_600


def specs(method: str, seeds: range, epochs: int) -> list[HeadSpec]:
    """Return one head a seed."""
    return [HeadSpec(method, seed, *RATES[method], epochs, BATCH_SIZE) for seed in seeds]


def encoder_seconds(device: str) -> float:
    """Return what a ResNet-50 takes for an image of the task, at the side that the reference scales it to."""
    images = [image for _, image, _ in read_split(open_task(TASK), "train")][:TIMED_IMAGES]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
    batch = torch.nn.functional.interpolate(batch, (SIDE, SIDE), mode="bicubic", antialias=True)
    model, batch = timm.create_model("resnet50", num_classes=0).eval().to(device), batch.to(device)
    with torch.inference_mode():
        model(batch).sum().item()
        return seconds(lambda: model(batch), device) / TIMED_IMAGES


def step_seconds(classes: int, device: str) -> dict[str, tuple[float, float]]:
    """Return, for each method, what a step of one head takes in one pass with its seeds, and alone."""
    random = np.random.default_rng(0)
    arrays = []
    for samples in (TIMED_SAMPLES, 256):
        labels = random.integers(0, classes, samples)
        arrays += [make_features(random, samples, labels), labels]
    found = {}
    steps = TIMED_SAMPLES // BATCH_SIZE
    for method in RATES:
        one = specs(method, SEEDS, 1)[0]
        together = epoch_seconds(
            lambda epochs, name=method: fit(*arrays, classes, specs(name, SEEDS, epochs), device), device
        )
        alone = epoch_seconds(lambda epochs, spec=one: train_alone(spec, arrays, classes, epochs, device), device)
        found[method] = together / steps / len(SEEDS), alone / steps
        print(f"  {method:7} {1e3 * found[method][0]:7.1f} ms a step and head, alone {1e3 * found[method][1]:7.1f} ms")
    return found


def epoch_seconds(train: Callable[[int], object], device: str) -> float:
    """Return what one epoch more takes a training, without what starting it costs."""
    few, many = 1, 2 if device == "cpu" else 21
    # What is loaded or planned at its first use should be so before the clock runs.
    train(few)
    return (seconds(lambda: train(many), device) - seconds(lambda: train(few), device)) / (many - few)


def make_features(random: np.random.Generator, samples: int, labels: np.ndarray) -> np.ndarray:
    """Return non-negative features with a weak trace of the label."""
    features = random.normal(size=(samples, WIDTH)).astype(np.float32)
    features[np.arange(samples), labels] += 2
    return np.maximum(features, 0)


def total(per_step: dict[str, tuple[float, float]], way: int, samples: int) -> float:
    """Return the seconds of all heads and epochs."""
    steps = -(-samples // BATCH_SIZE)
    return sum(times[way] for times in per_step.values()) * len(SEEDS) * EPOCHS * steps


def main() -> None:
    """Print the ratios."""
    device = str(choose_device())
    print(f"{describe_device()['device']}, {torch.get_num_threads()} thread(s)")
    fit(*make_data(8, 2), 2, specs("nmtune", SEEDS, 1), device)
    image = encoder_seconds(device)
    print(f"a ResNet-50 at {SIDE} pixels: {1e3 * image:.0f} ms an image")
    print(f"features of {WIDTH}, {TASK_CLASSES} classes:")
    per_step = step_seconds(TASK_CLASSES, device)
    ours = (TRAIN + VALIDATION + TEST) * image + total(per_step, 0, TRAIN)
    heads = len(SEEDS) * len(RATES)
    theirs = heads * EPOCHS * (TRAIN + TEST) * image + total(per_step, 1, TRAIN)
    print(f"{TASK}, the encoder in every epoch: {theirs:.0f} s, once: {ours:.0f} s, ratio {theirs / ours:.0f}")
    print(f"features of {WIDTH}, {LARGE_CLASSES} classes:")
    per_step = step_seconds(LARGE_CLASSES, device)
    ours, theirs = (total(per_step, way, LARGE) for way in (0, 1))
    print(f"{LARGE} samples, head after head: {theirs:.0f} s, one pass: {ours:.0f} s, ratio {theirs / ours:.1f}")
    print(f"a step of NMTune over one of MLP tuning: {per_step['nmtune'][0] / per_step['mlp'][0]:.2f}")


if __name__ == "__main__":
    main()
