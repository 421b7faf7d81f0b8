"""Time the vectorised tuning pass against the same heads trained one by one with torch.nn and torch.optim.

Run `OMP_NUM_THREADS=1 python benchmarks/tuning.py` for one thread. Features are random; sizes are those of the mini
matrix (3 methods x 3 seeds, 30 epochs). One by one is what one would write first: NMTune's regularisers by autograd
through `svdvals` and `cov`, denormal numbers left alone.
"""

import time
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec

SAMPLES, VALIDATION, EPOCHS, SEEDS = 1000, 250, 30, range(3)
SIZES = [(128, 20), (128, 200), (256, 20), (256, 200)]
BATCH_SIZES = [64, 128]


def make_data(dimensions: int, classes: int) -> list[np.ndarray]:
    """Return training and validation features (non-negative, as after a ReLU) and labels."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(classes, dimensions))
    arrays = []
    for samples in (SAMPLES, VALIDATION):
        labels = random.integers(0, classes, samples)
        noise = 1.5 * random.normal(size=(samples, dimensions))
        arrays += [np.maximum(centres[labels] + noise, 0).astype(np.float32), labels]
    return arrays


def heads(batch_size: int) -> list[HeadSpec]:
    """Return 3 methods x 3 seeds."""
    settings = {"lp": (0.1, 0.0), "mlp": (1e-3, 1e-4), "nmtune": (1e-3, 1e-4)}
    return [HeadSpec(name, seed, *values, EPOCHS, batch_size) for name, values in settings.items() for seed in SEEDS]


def regularisers(features: Tensor, transformed: Tensor) -> Tensor:
    """Return NMTune's three terms by their definitions."""
    distance = functional.normalize(features, dim=1) - functional.normalize(transformed, dim=1)
    matrix = torch.cov(transformed.T)
    sigma = torch.linalg.svdvals(transformed)
    off_diagonal = matrix - torch.diag(matrix.diag())
    covariance = off_diagonal.square().sum() / transformed.shape[1]
    return distance.square().sum(1).mean() + covariance - sigma[0] / sigma.sum()


def train_alone(
    spec: HeadSpec, data: list[np.ndarray], classes: int, epochs: int = EPOCHS, device: str = "cpu"
) -> None:
    """Train one head with torch modules, with a validation pass after each epoch; the data stay on the device."""
    train_x, train_y, val_x, val_y = (torch.from_numpy(array).to(device) for array in data)
    width = train_x.shape[1]
    torch.manual_seed(spec.seed)
    transform = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    model = nn.ModuleList([nn.Identity() if spec.method == "lp" else transform, nn.Linear(width, classes)])
    model.to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = epochs * -(-len(train_x) // spec.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x), device=device).split(spec.batch_size):
            transformed = model[0](train_x[rows])
            loss = functional.cross_entropy(model[1](transformed), train_y[rows])
            if spec.method == "nmtune":
                loss = loss + 0.01 * regularisers(train_x[rows], transformed)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            (model[1](model[0](val_x)).argmax(1) == val_y).float().mean()


def seconds(function: Callable[[], object], device: str = "cpu") -> float:
    """Return the processor seconds of this process, which others disturb less than wall time; of a GPU, wall time."""
    if device == "cpu":
        started = time.process_time()
        function()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Print a line per size."""
    print(f"{torch.get_num_threads()} thread(s); {len(heads(64))} heads, {SAMPLES} samples, {EPOCHS} epochs")
    print(" dim classes batch  vectorised  one by one  ratio   (seconds)    lp    mlp  nmtune")
    fit(*make_data(8, 2), 2, heads(64))
    for (dimensions, classes), batch_size in product(SIZES, BATCH_SIZES):
        data, specs = make_data(dimensions, classes), heads(batch_size)
        together = seconds(lambda data=data, classes=classes, specs=specs: fit(*data, classes, specs))
        parts = [
            seconds(lambda data=data, classes=classes, some=specs[start : start + 3]: fit(*data, classes, some))
            for start in (0, 3, 6)
        ]
        alone = sum(seconds(lambda spec=spec, d=data, c=classes: train_alone(spec, d, c)) for spec in specs)
        columns = f"{dimensions:4} {classes:7} {batch_size:5} {together:11.2f} {alone:11.2f} {alone / together:6.1f}"
        print(columns + " " * 13 + "".join(f"{part:7.2f}" for part in parts), flush=True)


if __name__ == "__main__":
    main()
