"""What jobs ask a scheduler for fits what the profile's partitions give, at every try."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from nml import plugins
from nml.task_entries import EmbeddedTask
from tests.workflow.conftest import ROOT

PARTITIONS = yaml.safe_load((ROOT / "profiles/slurm/partitions.yaml").read_text())["partitions"]
TRIES = range(1, 8)
EPOCHS = 100


def functions(**others: object) -> SimpleNamespace:
    """Return the functions of rules/resources.smk, which is Python, with others that they need."""
    names = {"Path": Path, "cache": cache, "plugins": plugins, "EmbeddedTask": EmbeddedTask}
    names |= {"workflow": SimpleNamespace(basedir=ROOT), "corpus_entry": lambda corpus: plugins.corpora()[corpus]}
    names |= others
    exec((ROOT / "rules/resources.smk").read_text(), names)
    return SimpleNamespace(**names)


@pytest.fixture(scope="module")
def resources() -> SimpleNamespace:
    return functions()


@pytest.fixture(scope="module")
def asked(resources: SimpleNamespace) -> Callable[[str, str], list[int]]:
    """Return what a rule asks for at its tries, for the largest corpus or task of the catalogues."""
    samples = max(map(resources.samples_of, plugins.corpora()))
    images = max(map(resources.images_of, plugins.tasks()))
    counts = {("pretrain", "runtime"): samples * EPOCHS, ("tune_encoder", "runtime"): images * EPOCHS}
    counts |= dict.fromkeys([("tune", "mem_mb"), ("tune", "runtime"), ("tune_encoder", "mem_mb")], images)

    def amounts(rule: str, resource: str) -> list[int]:
        amount = resources.asks(rule, resource, lambda wildcards: counts.get((rule, resource), samples))
        return [amount(None, attempt) for attempt in TRIES]

    return amounts


def test_every_try_fits_a_partition(resources: SimpleNamespace, asked: Callable) -> None:
    for rule in resources.RESOURCES["rules"]:
        partition = PARTITIONS["gpu" if rule in ("pretrain", "tune", "tune_encoder") else "cpu"]
        assert max(asked(rule, "mem_mb")) <= partition["max_mem_mb"], rule
        assert max(asked(rule, "runtime")) <= partition["max_runtime"], rule


def test_a_second_try_asks_for_twice_as_much_and_a_third_for_three_times(asked: Callable) -> None:
    assert asked("draw_tasks", "mem_mb")[:3] == [4000, 8000, 12000]
    assert asked("draw_tasks", "runtime")[:3] == [30, 60, 90]


@pytest.mark.parametrize(("rule", "most"), [("pretrain", 240_000), ("tune_encoder", 128_000)])
def test_a_training_that_ran_out_of_time_does_not_ask_for_ever_more_memory(
    rule: str, most: int, asked: Callable
) -> None:
    first, *later = asked(rule, "mem_mb")
    assert later == [most] * len(later)
    assert first < most


@pytest.mark.parametrize(("views", "most"), [(1, 40), (2, 48), (8, 96)])
def test_views_of_training_images_take_memory(views: int, most: int) -> None:
    """A view of 2,048 dimensions is 8 MB for a thousand images; the method with most views decides."""
    methods = {"lp": {"views": 1}, "two": {"views": views}}
    task = {"task_entry": lambda wildcards: None, "task_of": lambda wildcards: SimpleNamespace(name="cifar10")}
    rules = functions(HEAD_METHODS=list(methods), head_method=methods.get, **task)
    assert rules.asks("tune", "mem_mb", rules.features_to_hold)(None, 1) == 6000 + 60 * most
