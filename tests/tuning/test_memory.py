"""Features larger than what a job may hold are read where they lie: the engine makes no copy of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from nml.features.store import Split, TaskFeatures, save_features
from tests.memory import PEAK

# Many times the rows that the engine takes at once.
ROWS, WIDTH = 120_000, 192

FIT = """
import sys
from pathlib import Path
import torch
from nml.features.store import load_features
from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec
torch.set_num_threads(1)

def run(task):
    train, val = task.train, task.validation
    rate = dict(learning_rate=0.1, epochs=1, batch_size=256)
    specs = [HeadSpec("lp", seed, **rate) for seed in range(2)] + [HeadSpec("mlp", 0, **rate)]
    specs += [HeadSpec("logreg", 0, fraction=50)]
    half = {50: range(0, len(train.labels), 2)}
    heads = fit(train.features, train.labels, val.features, val.labels, task.num_classes, specs, subsets=half)
    return heads.predict(task.tests["test"].features)

run(load_features(Path(sys.argv[1]) / "small"))
large = load_features(Path(sys.argv[1]) / "large")
before = peak()
run(large)
print(peak() - before)
"""


def write(folder: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, WIDTH)).astype(np.float32)
    keys = [str(number) for number in range(rows)]
    train, rest = Split(features, np.arange(rows) % 4, keys), Split(features[:100], np.arange(100) % 4, keys[:100])
    save_features(TaskFeatures("t", 4, train, rest, {"test": rest}, {"test": "id"}), {}, folder)


def test_mapped_features_are_not_copied(tmp_path):
    """Resident: the 88 MB of the file, which the system may drop, and chunks of rows; a copy would be 88 MB more."""
    write(tmp_path / "small", 9_000)
    write(tmp_path / "large", ROWS)
    done = subprocess.run([sys.executable, "-c", PEAK + FIT, str(tmp_path)], capture_output=True, text=True, check=True)
    size = ROWS * WIDTH * 4 / 2**20
    assert float(done.stdout) < 2 * size
