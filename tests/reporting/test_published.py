"""Published values have a source each, and are compared with the same cell of ours, or not at all."""

import numpy as np
import pandas as pd
import pytest

from nml.reporting.published import COLUMNS, compare_published, read_published

AVERAGE = {"corpus": "zoo", "recipe": "swin-large-in22k", "noise_kind": "released", "noise_percent": 0.0,
           "method": "lp", "fraction": 100, "group": "id", "metric": "accuracy"}  # fmt: skip
RESULT = {"value": 0.82, "low": 0.81, "high": 0.83, "tasks": 14, "cells": 14}
PRETRAINING = ["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed", "validation_accuracy"]


def compare(average: dict | None = None, task: dict | None = None, encoders: list | None = None) -> pd.DataFrame:
    averages = pd.DataFrame([AVERAGE | RESULT | (average or {})])
    tasks = averages.assign(**{"task": "x", "test_set": "test", "corpus": "none"} | (task or {}))
    return compare_published(tasks, averages, pd.DataFrame(encoders or [], columns=PRETRAINING))


def test_every_value_has_a_source_and_each_is_there_once():
    table = read_published()
    assert (table["source"].str.len() > 10).all() and table["published"].between(0.3, 1).sum() > 80
    assert not table.duplicated(["corpus", "recipe", "noise_percent", "task", "group", "method", "source"]).any()


def test_an_average_over_as_many_data_sets_is_compared():
    table = compare()
    row = table[table["ours"].notna()].iloc[0]
    assert list(table) == COLUMNS and table["ours"].notna().sum() == 1
    assert (row["within"], row["cells"]) == ("yes", 14) and row["published"] == pytest.approx(0.8191)
    assert row["difference"] == pytest.approx(0.0009)


def test_an_average_over_other_data_sets_is_not():
    table = compare({"tasks": 13})
    assert table["ours"].isna().all() and set(table["within"]) == {""} and set(table["cells"]) == {0}


def test_a_task_and_pretraining_are_compared():
    task = {"corpus": "imagenet1k", "recipe": "resnet50-rsb-a2", "noise_kind": "symmetric", "noise_percent": 10.0,
            "task": "ham10000", "value": 0.60, "low": 0.59, "high": 0.61}  # fmt: skip
    encoders = [("yfcc15m", "clip-rn50", "swap", 5.0, seed, value) for seed, value in enumerate((0.30, 0.31))]
    table = compare(task=task, encoders=encoders).dropna(subset=["ours"])
    found = {row.group: row for row in table.itertuples()}
    assert len(table) == 3
    medical = table[table["task"] == "ham10000"].iloc[0]
    assert medical["within"] == "no" and medical["published"] == pytest.approx(0.5452)
    clip = found["pretraining"]
    assert clip.difference == pytest.approx(0.305 - 0.3086) and np.isnan(clip.low) and clip.within == ""
