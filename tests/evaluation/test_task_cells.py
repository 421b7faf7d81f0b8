"""A job makes the cells that are missing or made from something else, and puts the others back."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.costs import Try
from nml.errors import UserError
from nml.evaluation import task_cells
from nml.evaluation.task_cells import TaskCells, cells_made_from, make_cells, spectrum_made_from
from nml.features import cache
from nml.features.cache import cached_features, features_key
from nml.grid import Encoder, Noise, TaskAddress
from nml.plugins import PACKAGE
from nml.preemption import asked, stoppable
from nml.pretraining.control import initialise

ENCODER = Encoder("emoji", "resnet-mini", Noise("untrained"), 0)
MAJORITY, NEAREST = {"views": 1}, {"views": 1, "k": 3}
CELLS = {name: Path(f"results/cells/e/t/{name}.parquet") for name in ("majority", "knn")}
SPECTRUM = Path("results/spectra/e/t.parquet")
WANTED = TaskCells(
    encoder=ENCODER,
    task=TaskAddress.parse("handwritten-digits"),
    methods={"majority": MAJORITY, "knn": NEAREST},
    method_code={"majority": "m", "knn": "k"},
    seeds=2,
    fractions=[100],
    noise_seed=None,
    described="catalogue",
    code="code",
    features_code="features code",
    features=Path("results/features/e/t"),
)


def make(wanted: TaskCells, cells: dict[str, Path] = CELLS) -> int:
    """Make the outputs; return how many cells were put back."""
    cost = Try()
    make_cells(wanted, cells, SPECTRUM, cost)
    return cost.put_back


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and the embedded data."""
    root = tmp_path_factory.mktemp("workplace")
    os.symlink(PACKAGE.parent / "data", root / "data")
    recipe = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
    initialise(ENCODER, open_corpus("emoji"), recipe, root / f"results/encoders/{ENCODER}")
    return root


@pytest.fixture
def made(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All outputs, made; the list grows by the names of the methods whose heads are trained after that."""
    monkeypatch.chdir(workplace)
    make(WANTED)
    trained, real = [], task_cells.evaluate

    def noting(features, methods, *others):
        trained.extend(methods)
        return real(features, methods, *others)

    monkeypatch.setattr(task_cells, "evaluate", noting)
    return trained


def delete() -> None:
    for file in [*Path("results/cells").rglob("*.*"), SPECTRUM]:
        file.unlink()


def test_what_is_right_comes_back_byte_for_byte_without_training(made):
    before = {file: file.read_bytes() for file in Path("results/cells").rglob("*.*")}
    assert len(before) == 6
    delete()
    assert make(WANTED) == 2
    assert made == []
    assert {file: file.read_bytes() for file in before} == before
    assert SPECTRUM.is_file()


def test_a_changed_method_trains_its_own_heads_alone(made):
    delete()
    changed = replace(WANTED, methods={"majority": MAJORITY, "knn": NEAREST | {"k": 5}})
    assert make(changed) == 1
    assert made == ["knn"]
    delete()
    assert make(WANTED) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"described": "another catalogue"},
        {"code": "other"},
        {"features_code": "other"},
        {"seeds": 3},
        {"fractions": [50, 100]},
        {"noise_seed": 1},
        {"encoder": replace(ENCODER, seed=1)},
        {"task": TaskAddress.parse("handwritten-digits+symmetric-20")},
        {"method_code": {"majority": "changed", "knn": "changed"}},
    ],
    ids=str,
)
def test_cells_are_others_when_anything_that_they_are_made_from_changes(change):
    before, after = (
        cells_made_from(wanted, {"code": wanted.features_code}) for wanted in (WANTED, replace(WANTED, **change))
    )
    assert all(before[name] != after[name] for name in CELLS)


def test_the_spectrum_does_not_depend_on_methods_and_seeds():
    other = replace(WANTED, methods={}, seeds=7, fractions=[1])
    assert spectrum_made_from(WANTED, {}) == spectrum_made_from(other, {})


def test_the_key_of_features_names_the_libraries_and_the_kind_of_device(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    key = features_key(str(ENCODER), "handwritten-digits", "catalogue", "features code")
    assert key["libraries"]["pillow"]
    monkeypatch.setattr(cache, "choose_device", lambda: torch.device("cuda"))
    assert features_key(str(ENCODER), "handwritten-digits", "catalogue", "features code") != key


def test_views_are_those_of_the_missing_methods(made, monkeypatch):
    """One that draws from more views, and is put back, is no reason to extract them."""
    asked_for = []

    def noting(*arguments):
        asked_for.append(arguments[-1])
        return cached_features(*arguments)

    monkeypatch.setattr(task_cells, "cached_features", noting)
    lp = {"learning_rate": 0.1, "weight_decay": 0.0, "epochs": 1, "batch_size": 64, "views": 2}
    methods, code = WANTED.methods | {"lp": lp}, WANTED.method_code | {"lp": "l"}
    cells = CELLS | {"lp": Path("results/cells/e/t/lp.parquet")}
    delete()
    make(replace(WANTED, methods=methods, method_code=code), cells)
    assert asked_for == [2]
    delete()
    make(replace(WANTED, methods=methods | {"knn": NEAREST | {"k": 9}}, method_code=code), cells)
    assert asked_for == [2, 1]
    assert made == ["lp", "knn"]


def test_trained_heads_are_written_though_the_job_is_asked_to_stop(made, monkeypatch):
    real = task_cells.keep

    def keeping(*arguments):
        signal.raise_signal(signal.SIGTERM)
        real(*arguments)

    monkeypatch.setattr(task_cells, "keep", keeping)
    delete()
    with stoppable():
        make(replace(WANTED, seeds=1))
        assert asked()
    assert sorted(Path("results/cells").rglob("*.meta.json")) == sorted(
        cell.with_suffix(".meta.json") for cell in CELLS.values()
    )


def test_a_method_that_diverges_costs_the_others_nothing(made):
    common = {"views": 1, "learning_rate": 0.1, "weight_decay": 0.0, "epochs": 1, "batch_size": 64}
    methods = {"lp": common, "strong": common | {"method": "mlp", "learning_rate": 1e30}}
    cells = {name: Path(f"results/cells/e/t/{name}.parquet") for name in methods}
    wanted = replace(WANTED, methods=methods, method_code={"lp": "l", "strong": "s"})
    with pytest.raises(UserError, match=r"digits: method 'strong' diverged .*methods\.strong\.learning_rate"):
        make(wanted, cells)
    delete()
    made.clear()
    assert make(replace(wanted, methods=methods | {"strong": common | {"method": "mlp"}}), cells) == 1
    assert made == ["strong"]
