"""What workflow scripts make of what Snakemake gives them."""

import runpy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.iocontainers import Namedlist

from nml.config.recipes import Recipe

SCRIPTS = Path(__file__).parents[1] / "workflow_scripts"
RECIPE = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
# What a job has of the volume, where no file system is shared.
STORED = ".snakemake/storage/fs/volume/results"


@pytest.fixture
def called_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[tuple, dict[str, Any]]]:
    """Return a function that runs a script, and returns the arguments with which it calls a function."""

    def run(script: str, function: str, config: object = None, **named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        calls = []
        monkeypatch.setattr("nml.jobs.job", lambda _: nullcontext())
        monkeypatch.setattr(function, lambda *arguments, **more: calls.append((arguments, more)))
        lists = {name: Namedlist(fromdict=values) for name, values in named.items()}
        job = SimpleNamespace(config=config, threads=1, resources={}, log=["a.log"], **lists)
        runpy.run_path(str(SCRIPTS / f"{script}.py"), {"snakemake": job}, "__main__")
        (call,) = calls
        return call

    return run


def test_a_share_that_yaml_takes_for_text_is_a_number(called_by: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nml.corpora.catalogue.open_corpus", lambda *_: None)
    (run,), _ = called_by(
        "pretrain",
        "nml.pretraining.launch.launch",
        yaml.safe_load("max_corrupt_share: 1e-3"),
        wildcards={"corpus": "a", "recipe": "b", "noise": "clean", "seed": "0"},
        params={"recipe": RECIPE.model_dump_json(), "progress": "p", "code": "", "validate_on": "a"},
        output={"model": "results/encoders/a/b/clean/s0/model.safetensors"},
    )
    assert run.max_corrupt_share == 0.001


def test_tables_are_made_where_the_costs_of_the_cells_are(called_by: Callable) -> None:
    cell = "cells/a/b/clean/s0/task/lp.parquet"
    _, given = called_by(
        "build_tables",
        "nml.reporting.tables.build_tables",
        input={"cells": [f"{STORED}/{cell}"], "spectra": [], "metas": []},
        output={"main": f"{STORED}/tables/main.txt"},
    )
    assert given["cell_files"] == [Path("results", cell)]
    assert given["out_dir"] == Path(STORED, "tables")


def test_the_page_links_to_the_results_that_it_is_part_of(called_by: Callable) -> None:
    _, given = called_by(
        "write_report",
        "nml.reporting.report.write_report",
        input={"tables": [f"{STORED}/tables/a.parquet"], "figures": [f"{STORED}/figures/a.png"]}
        | {"noise": [], "tasks": []},
        output={"page": f"{STORED}/report/index.html"},
        params={"title": "a"},
    )
    assert given["results_dir"] == Path(STORED)
