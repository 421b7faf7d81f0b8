"""A method of one's own: a file outside the package, named by its path, is checked, hashed, run and reported."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nml import plugins
from nml.codehash import code_hash
from nml.config.load import check_config, load_config
from nml.errors import UserError
from nml.evaluation.evaluate import evaluate
from nml.features.store import Split, TaskFeatures
from nml.tuning.engine import fit
from nml.tuning.specs import HeadSpec

ROOT = Path(__file__).parents[2]


def example() -> str:
    """Return the file that docs/add-a-method.md shows."""
    text = (ROOT / "docs/add-a-method.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "cosine_margin.py"
    path.write_text(example())
    return str(path)


def settings(path: str) -> dict:
    return {"method": path, "learning_rate": 0.05, "weight_decay": 0.0, "epochs": 8, "batch_size": 16}


def task() -> TaskFeatures:
    random = np.random.default_rng(0)
    splits = []
    for samples in (60, 30, 40):
        labels = random.integers(0, 3, samples)
        features = np.eye(8)[labels] + 0.2 * random.normal(size=(samples, 8))
        splits.append(Split(features.astype(np.float32), labels, [str(i) for i in range(samples)]))
    return TaskFeatures("shapes", 3, splits[0], splits[1], {"test": splits[2]}, {"test": "id"})


def test_the_example_of_the_documentation_works(mine):
    identity = {"corpus": "a", "recipe": "b", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0}
    values = settings(mine) | {"margin": [0.0, 0.2]}
    result = evaluate(task(), {"margin": values}, {0: 1, 1: 2}, identity)["margin"]
    assert (
        np.mean([v for v, m in zip(result.cells["value"], result.cells["metric"], strict=True) if m == "accuracy"])
        > 0.9
    )
    assert result.metadata["method"] == mine
    assert len(result.metadata["search"]) == 2


def test_the_configuration_is_checked_without_importing_the_file(mine, tmp_path):
    values = load_config(ROOT / "presets/smoke.yaml").model_dump(exclude_none=True)
    values["methods"] = {"margin": settings(mine) | {"margin": 0.3}}
    assert check_config(values).methods["margin"].model_extra == {"margin": 0.3}
    for wrong, message in (({"margin": -1}, "a number, at least 0"), ({"marign": 1}, "Did you mean 'margin'")):
        with pytest.raises(UserError, match=message):
            check_config(values | {"methods": {"margin": settings(mine) | wrong}})
    with pytest.raises(UserError, match=r"there is no file .*nowhere\.py"):
        check_config(values | {"methods": {"margin": settings(str(tmp_path / "nowhere.py"))}})
    code = f"import sys; from nml import plugins; plugins.tuning_method({mine!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_its_code_counts(mine, tmp_path):
    """A change of the file trains its heads anew; a comment does not."""
    before = code_hash([plugins.tuning_method(mine).file])
    other = tmp_path / "other" / "cosine_margin.py"
    other.parent.mkdir()
    other.write_text(example() + "\n# a comment\n")
    assert code_hash([other]) == before
    other.with_name("changed.py").write_text(example().replace("- margin", "- 2 * margin"))
    assert code_hash([other.with_name("changed.py")]) != before


SCALED = """
import torch
from nml.tuning.methods.lp import loss

TRAINED = True
HEAD = "own"
PARAMETERS = {"scale": 1.0}
PER_HEAD = ("scale",)

def initial(dimensions, num_classes, hyperparameters, random):
    weight = torch.from_numpy(random.normal(size=(dimensions, num_classes)).astype("float32"))
    return {"weight": hyperparameters["scale"] * weight}

def forward(parameters, features, training):
    return features, features @ parameters["weight"]
"""
DEEP = 'from nml.tuning.methods.lp import loss\nTRAINED = True\nHEAD = "mlp"\nPARAMETERS = {}\nPER_HEAD = ("depth",)\n'


def weights(path: Path, parameters: list[dict]) -> torch.Tensor:
    """Return the weights of heads that are trained together."""
    one, common = task(), {"learning_rate": 0.01, "epochs": 2, "batch_size": 16}
    specs = [HeadSpec(str(path), 0, **common, parameters=own) for own in parameters]
    arrays = one.train.features, one.train.labels, one.validation.features, one.validation.labels
    (stack,) = fit(*arrays, one.num_classes, specs).stacks
    return stack.parameters["weight"]


def test_candidates_of_a_search_start_each_from_its_own_values(tmp_path):
    path = tmp_path / "scaled.py"
    path.write_text(SCALED)
    candidates = [{"scale": 0.1}, {"scale": 5.0}]
    alone = torch.cat([weights(path, [own]) for own in candidates])
    torch.testing.assert_close(weights(path, candidates), alone)


def test_what_changes_the_shape_of_a_head_cannot_differ_within_a_stack(tmp_path):
    path = tmp_path / "deep.py"
    path.write_text(DEEP)
    with pytest.raises(UserError, match="differ in depth have tensors of different shapes"):
        weights(path, [{"depth": 2}, {"depth": 3}])
