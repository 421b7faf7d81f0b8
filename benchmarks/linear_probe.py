"""Time logistic regression and the linear probe against scikit-learn's and CLIP_benchmark's, on the same features.

Run `OMP_NUM_THREADS=1 python benchmarks/linear_probe.py`, or name some of its parts: `strengths`, `equal`, `converged`,
`path`, `probe`, `search`. The last two need clip-benchmark 1.6.2, which nothing else here does. Accuracies are of the
same test samples, times processor seconds. CLIP_benchmark asks for a GPU: `.cuda()` and `.to()` are made to do nothing.
They get their usual batches of 64 and 10 epochs; ours get the same numbers.

`strengths`, `equal` and `converged` are scikit-learn at its default tolerance, at the one that comes as near to the
minimum as `logreg` does on the embedded tasks (docs/benchmarks.md), and at 1e-6.
`path` is scikit-learn warm-started along its own default of ten strengths, as `LogisticRegressionCV` goes along them.
`search` is CLIP_benchmark's whole `evaluate` with validation data, at its defaults and from its own cache of normalised
features: 19 trainings in search of a weight decay, and a last one on the training and validation data together. Ours
search the strengths of the first part, and the lists of docs/add-a-method.md, on the features as they are; the same
validation data choose.
"""

import contextlib
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

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
PATH = [float(strength) for strength in np.logspace(-4, 4, 10)]
THEIR_RATE = 0.1
SEARCHED_STRENGTHS = [0.01, 0.1, 1.0, 10.0, 100.0]
SEARCHED_RATES, SEARCHED_DECAYS = [0.001, 0.01, 0.1], [0.0, 0.0001, 0.01]


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


def ours_chosen(arrays: list[np.ndarray], specs: list[HeadSpec]) -> float:
    """Return the accuracy of the head that is best on the validation data, the first of equals."""
    *training, test_x, test_y = arrays
    heads = fit(*training, CLASSES, specs)
    return float((heads.predict(test_x, [int(heads.validation_accuracies.argmax())]) == test_y).mean())


def scikit_learn(arrays: list[np.ndarray], strength: float, tolerance: float) -> float:
    """Return the accuracy of scikit-learn's solver."""
    train_x, train_y, _, _, test_x, test_y = arrays
    return LogisticRegression(C=strength, max_iter=5000, tol=tolerance).fit(train_x, train_y).score(test_x, test_y)


def scikit_learn_path(arrays: list[np.ndarray]) -> float:
    """Return the accuracy of the strength that is best on the validation data, each started from the one before."""
    train_x, train_y, val_x, val_y, test_x, test_y = arrays
    model, found = LogisticRegression(warm_start=True), []
    for strength in PATH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_params(C=strength).fit(train_x, train_y)
        found.append((model.score(val_x, val_y), model.score(test_x, test_y)))
    return max(found, key=lambda scores: scores[0])[1]


@contextlib.contextmanager
def without_gpu() -> Iterator[None]:
    """Make what moves tensors to a GPU do nothing, and keep CLIP_benchmark silent."""
    with contextlib.ExitStack() as stack:
        for kind, name in ((torch.nn.Module, "cuda"), (torch.Tensor, "cuda"), (torch.Tensor, "to")):
            stack.enter_context(patch.object(kind, name, lambda self, *_: self))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


def top_accuracies(scores: torch.Tensor, labels: torch.Tensor, topk: tuple[int, ...]) -> list[float]:
    """Return the shares of samples whose label is among the k highest scores; CLIP_benchmark's own fails on NumPy 2."""
    right = scores.topk(max(topk)).indices == labels.unsqueeze(1)
    return [float(right[:, :k].any(dim=1).float().mean()) for k in topk]


def clip_benchmark_search(arrays: list[np.ndarray]) -> float:
    """Return the accuracy of CLIP_benchmark's whole procedure on cached features, at the defaults of its command.

    Its cache is of pickles; the files are empty here, and what it loads is given to it.
    """
    from clip_benchmark.metrics import linear_probe

    linear_probe.accuracy = top_accuracies
    cached = {}
    for split, start in (("train", 0), ("val", 2), ("test", 4)):
        cached[f"features_{split}.pt"] = torch.nn.functional.normalize(torch.from_numpy(arrays[start]), dim=-1)
        cached[f"targets_{split}.pt"] = torch.from_numpy(arrays[start + 1])
    given = patch.object(torch, "load", lambda file: cached[Path(file).name])
    with tempfile.TemporaryDirectory() as root, without_gpu(), given, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Path(root, "model").mkdir()
        for name in cached:
            Path(root, "model", name).touch()
        found = linear_probe.evaluate(
            torch.nn.Identity(),
            None,
            None,
            fewshot_k=-1,
            batch_size=BATCH_SIZE,
            num_workers=0,
            lr=THEIR_RATE,
            epochs=EPOCHS,
            model_id="model",
            seed=0,
            feature_root=root,
            device="cuda",
            val_dataloader=True,
            amp=False,
        )
    return float(found["lp_acc1"])


def clip_benchmark(arrays: list[np.ndarray], decay: float) -> float:
    """Return the accuracy of CLIP_benchmark's linear probe."""
    from clip_benchmark.metrics import linear_probe

    train, test = (
        linear_probe.FeatureDataset(torch.from_numpy(arrays[start]), torch.from_numpy(arrays[start + 1]))
        for start in (0, 4)
    )
    loader = DataLoader(train, batch_size=BATCH_SIZE, shuffle=True)
    with without_gpu():
        model = linear_probe.train(loader, WIDTH, CLASSES, decay, RATE, EPOCHS, False, "cpu", 0)
        logits, labels = linear_probe.infer(model, DataLoader(test, batch_size=BATCH_SIZE), False, "cpu")
    return float((logits.argmax(1) == labels).float().mean())


def line(name: str, theirs: list[tuple[float, float]], own: tuple[float, float]) -> None:
    """Print one comparison; theirs are runs of which all are needed, ours does the same in one."""
    spent, best = sum(time for time, _ in theirs), max(accuracy for _, accuracy in theirs)
    print(f"{name:60} {spent:7.1f} s {best:.4f}   {own[0]:6.1f} s {own[1]:.4f}   {spent / own[0]:5.1f}", flush=True)


def compare_strengths(arrays: list[np.ndarray], tolerance: float) -> None:
    """Print scikit-learn against `logreg`, for each strength and for all of them."""
    specs = [HeadSpec("logreg", 0, parameters={"C": strength}) for strength in STRENGTHS]
    runs = [timed(lambda s=strength: scikit_learn(arrays, s, tolerance)) for strength in STRENGTHS]
    for strength, run, spec in zip(STRENGTHS, runs, specs, strict=True):
        own = timed(lambda spec=spec: ours(arrays, [spec]))
        line(f"scikit-learn (tol {tolerance:g}), C = {strength}: logreg", [run], own)
    line("  all of them: logreg", runs, timed(lambda: ours(arrays, specs)))


def compare_path(arrays: list[np.ndarray]) -> None:
    """Print scikit-learn's warm-started path against `logreg`, chosen by validation data."""
    specs = [HeadSpec("logreg", 0, parameters={"C": strength}) for strength in PATH]
    own = timed(lambda: ours_chosen(arrays, specs))
    line(f"scikit-learn, {len(PATH)} strengths: logreg", [timed(lambda: scikit_learn_path(arrays))], own)


def compare_probe(arrays: list[np.ndarray]) -> None:
    """Print one training of CLIP_benchmark's against one of `lp`, and several against one pass."""
    specs = [HeadSpec("lp", 0, RATE, decay, EPOCHS, BATCH_SIZE) for decay in DECAYS]
    runs = [timed(lambda decay=decay: clip_benchmark(arrays, decay)) for decay in DECAYS]
    line("CLIP_benchmark, one weight decay: lp", runs[:1], timed(lambda: ours(arrays, specs[:1])))
    line(f"CLIP_benchmark, {len(DECAYS)} weight decays: lp", runs, timed(lambda: ours(arrays, specs)))


def compare_search(arrays: list[np.ndarray]) -> None:
    """Print CLIP_benchmark's whole search against a search with `logreg`, and one with `lp`."""
    few, regressions = (
        [HeadSpec("logreg", 0, parameters={"C": strength}) for strength in strengths]
        for strengths in (STRENGTHS, SEARCHED_STRENGTHS)
    )
    settings = [(rate, decay) for rate in SEARCHED_RATES for decay in SEARCHED_DECAYS]
    probes = [HeadSpec("lp", 0, rate, decay, EPOCHS, BATCH_SIZE) for rate, decay in settings]
    theirs = timed(lambda: clip_benchmark_search(arrays))
    for name, specs in (("logreg", few), ("logreg", regressions), ("lp", probes)):
        line(
            f"CLIP_benchmark, its search: {name}, {len(specs)} settings",
            [theirs],
            timed(lambda s=specs: ours_chosen(arrays, s)),
        )


def main() -> None:
    """Print a line per comparison."""
    arrays = make_features()
    parts = {
        "strengths": lambda: compare_strengths(arrays, 1e-4),
        "equal": lambda: compare_strengths(arrays, 1e-5),
        "converged": lambda: compare_strengths(arrays, 1e-6),
        "path": lambda: compare_path(arrays),
        "probe": lambda: compare_probe(arrays),
        "search": lambda: compare_search(arrays),
    }
    print(
        f"{torch.get_num_threads()} thread(s); {TRAIN} x {WIDTH}, {CLASSES} classes{'':22} theirs{'':12} ours   ratio"
    )
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
