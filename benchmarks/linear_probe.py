"""Time logistic regression and the linear probe against scikit-learn's and CLIP_benchmark's, on the same features.

Run `OMP_NUM_THREADS=1 python benchmarks/linear_probe.py`; it needs clip-benchmark 1.6.2, which nothing else here does.
Accuracies are of the same test samples, times processor seconds. CLIP_benchmark's functions call `.cuda()`, which is
made to do nothing, and are given their usual batches of 64 and 10 epochs; ours get the same numbers.
"""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DataLoader
from tuning import seconds

from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec

TRAIN, VALIDATION, TEST, WIDTH, CLASSES = 10_000, 500, 4_000, 1024, 100
EPOCHS, BATCH_SIZE, RATE = 10, 64, 0.01
STRENGTHS = [0.001, 0.01, 0.1]
DECAYS = [0.0, 0.0001, 0.01, 0.1]


def make_features() -> list[np.ndarray]:
    """Return features and labels of three splits; as of encoders, with a mean and a falling spectrum."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(WIDTH, WIDTH)) * np.arange(1, WIDTH + 1)[:, None] ** -0.5 / 4
    centres, arrays = random.normal(size=(CLASSES, WIDTH)), []
    for samples in (TRAIN, VALIDATION, TEST):
        labels = random.integers(0, CLASSES, samples)
        latent = 0.55 * centres[labels] + random.normal(size=(samples, WIDTH)) * 2.5
        arrays += [np.maximum(latent @ mixing + 0.3, 0).astype(np.float32), labels]
    return arrays


def timed(function: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds and the accuracy that a function takes and gives."""
    accuracy: list[float] = []
    return seconds(lambda: accuracy.append(function())), accuracy[0]


def ours(arrays: list[np.ndarray], specs: list[HeadSpec]) -> float:
    """Return the best accuracy of some heads, fitted in one pass."""
    *training, test_x, test_y = arrays
    heads = fit(*training, CLASSES, specs)
    return float((heads.predict(test_x) == test_y).mean(axis=1).max())


def scikit_learn(arrays: list[np.ndarray], strength: float, tolerance: float) -> float:
    """Return the accuracy of scikit-learn's solver."""
    train_x, train_y, _, _, test_x, test_y = arrays
    return LogisticRegression(C=strength, max_iter=5000, tol=tolerance).fit(train_x, train_y).score(test_x, test_y)


def clip_benchmark(arrays: list[np.ndarray], decay: float) -> float:
    """Return the accuracy of CLIP_benchmark's linear probe."""
    from clip_benchmark.metrics import linear_probe

    torch.nn.Module.cuda = torch.Tensor.cuda = lambda self, *_: self
    train, test = (
        linear_probe.FeatureDataset(torch.from_numpy(arrays[start]), torch.from_numpy(arrays[start + 1]))
        for start in (0, 4)
    )
    loader = DataLoader(train, batch_size=BATCH_SIZE, shuffle=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = linear_probe.train(loader, WIDTH, CLASSES, decay, RATE, EPOCHS, False, "cpu", 0)
        logits, labels = linear_probe.infer(model, DataLoader(test, batch_size=BATCH_SIZE), False, "cpu")
    return float((logits.argmax(1) == labels).float().mean())


def line(name: str, theirs: list[tuple[float, float]], own: tuple[float, float]) -> None:
    """Print one comparison; theirs are runs of which all are needed, ours does the same in one."""
    spent, best = sum(time for time, _ in theirs), max(accuracy for _, accuracy in theirs)
    print(f"{name:60} {spent:7.1f} s {best:.4f}   {own[0]:6.1f} s {own[1]:.4f}   {spent / own[0]:5.1f}", flush=True)


def main() -> None:
    """Print a line per comparison."""
    arrays = make_features()
    print(
        f"{torch.get_num_threads()} thread(s); {TRAIN} x {WIDTH}, {CLASSES} classes{'':22} theirs{'':12} ours   ratio"
    )
    regressions = [HeadSpec("logreg", 0, parameters={"C": strength}) for strength in STRENGTHS]
    for tolerance in (1e-4, 1e-6):
        runs = [timed(lambda s=strength, t=tolerance: scikit_learn(arrays, s, t)) for strength in STRENGTHS]
        for strength, run, spec in zip(STRENGTHS, runs, regressions, strict=True):
            own = timed(lambda spec=spec: ours(arrays, [spec]))
            line(f"scikit-learn (tol {tolerance:g}), C = {strength}: logreg", [run], own)
        line("  all of them: logreg", runs, timed(lambda: ours(arrays, regressions)))
    probes = [HeadSpec("lp", 0, RATE, decay, EPOCHS, BATCH_SIZE) for decay in DECAYS]
    probe = timed(lambda: ours(arrays, probes[:1]))
    runs = [timed(lambda decay=decay: clip_benchmark(arrays, decay)) for decay in DECAYS]
    line("CLIP_benchmark, one weight decay: lp", runs[:1], probe)
    line(f"CLIP_benchmark, {len(DECAYS)} weight decays: lp", runs, timed(lambda: ours(arrays, probes)))


if __name__ == "__main__":
    main()
