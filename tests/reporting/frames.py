"""Hand-made cells for the tests."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nml.reporting.averages import average_over_tasks
from nml.reporting.sampling import SAMPLING_KEY, Covariance
from nml.reporting.schema import CELL_COLUMNS, CELL_NAME


def cell_rows(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Fill in what a test does not care about."""
    usual = {
        "corpus": "emoji", "recipe": "resnet-mini", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0,
        "task": "a", "group": "id", "test_set": "test", "method": "lp", "fraction": 100, "seed": 0,
        "metric": "accuracy", "value": 0.5, "n": 100,
    }  # fmt: skip
    return pd.DataFrame([usual | row for row in rows])[CELL_COLUMNS]


def averages_of(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Average hand-made cells whose `n` test images are all independent, with one prediction for each."""
    return average_over_tasks(*sampled(rows))


def sampled(rows: Iterable[dict[str, object]]) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """Return hand-made cells and how far other test samples would move them."""
    cells = cell_rows(rows)
    return cells, independent(cells), exact(cells)


def independent(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the sampling variance of cells whose `n` test images are all independent, with one prediction for each."""
    means = cells.groupby(SAMPLING_KEY).agg(share=("value", "mean"), n=("n", "min")).reset_index()
    share = (means["n"] * means["share"] + 2) / (means["n"] + 4)
    variance = share * (1 - share) / (means["n"] + 4)
    return means[SAMPLING_KEY].assign(clusters=means["n"], variance=variance)


def exact(cells: pd.DataFrame) -> dict[tuple[str, str, int], Covariance]:
    """Return covariances of test sets so large that they add nothing."""
    found = {}
    for place, part in cells.groupby(["task", "test_set", "fraction"]):
        names = sorted(set(part[CELL_NAME].itertuples(index=False, name=None)))
        found[place] = Covariance({name: row for row, name in enumerate(names)}, np.zeros((len(names),) * 2))
    return found


def simulated(
    generator: np.random.Generator,
    studies: int,
    noise: dict[float, float],
    seeds: int = 3,
    tasks: int = 2,
    samples: int = 150,
    luck: float = 0.02,
) -> tuple[pd.DataFrame, dict[tuple[str, str, int], Covariance]]:
    """Draw studies, one a recipe: `noise` says by how much each ratio changes the chance of being right, 0.6.

    Samples differ in difficulty, and each is right or wrong with all encoders alike; a pre-training seed shifts all
    tasks of an encoder together.
    """
    rows, covariances = [], {}
    for study in range(studies):
        shifts = generator.normal(0, luck, (len(noise), seeds))
        for number in range(tasks):
            task, chance = f"{study}-{number}", generator.uniform(size=samples)
            hardness = generator.uniform(-0.2, 0.2, samples)
            names, right = [], []
            for place, (percent, effect) in enumerate(noise.items()):
                kind = "symmetric" if percent else "clean"
                for seed in range(seeds):
                    # A part of each outcome is the encoder's own.
                    drawn = np.where(generator.random(samples) < 0.5, chance, generator.uniform(size=samples))
                    right.append(drawn < 0.6 + effect + hardness + shifts[place, seed])
                    names.append(("emoji", f"{study:04d}", kind, percent, seed, task, "lp"))
                    found = {"value": right[-1].mean(), "n": samples}
                    rows.append(dict(zip(CELL_NAME, names[-1], strict=True)) | found)
            matrix = np.cov(np.array(right)) / samples
            covariances[task, "test", 100] = Covariance({name: row for row, name in enumerate(names)}, matrix)
    return cell_rows(rows), covariances
