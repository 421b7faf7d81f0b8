"""Tasks on disk: what is read, and what is refused."""

import json
import shutil

import pytest

from nml import plugins
from nml.errors import UserError
from nml.task_entries import EmbeddedTask
from nml.tasks.task import open_task, read_split

EMBEDDED = {name: entry for name, entry in plugins.tasks().items() if isinstance(entry, EmbeddedTask)}


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A copy of an embedded task that a test may damage."""
    entry = plugins.tasks()["handwritten-digits"]
    copy = tmp_path / "task"
    shutil.copytree(entry.path, copy)
    monkeypatch.setitem(plugins.tasks(), "handwritten-digits", EmbeddedTask(path=str(copy), tests=entry.tests))
    return open_task("handwritten-digits")


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_every_split_of_every_embedded_task_reads(name):
    task = open_task(name)
    for split in task.splits:
        key, image, label = next(read_split(task, split))
        assert key and image.shape == (32, 32, 3) and 0 <= label < len(task.class_names)


def test_the_embedded_tasks_are_fourteen_id_and_four_ood_domains():
    groups = [group for entry in EMBEDDED.values() for group in entry.tests.values()]
    assert groups.count("id") == 14
    assert groups.count("ood") == 4


def test_training_and_test_keys_are_disjoint(digits):
    keys = {split: {key for key, _, _ in read_split(digits, split)} for split in digits.splits}
    assert not keys["train"] & keys["val"] and not (keys["train"] | keys["val"]) & keys["test"]


def test_a_truncated_shard_is_named(digits):
    shard = digits.path / "test" / "0.tar.gz"
    shard.write_bytes(shard.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"test/0\.tar\.gz cannot be read to its end"):
        list(read_split(digits, "test"))


def test_a_missing_shard_count_is_explained(digits):
    (digits.path / "val" / "nshards.txt").unlink()
    with pytest.raises(UserError, match=r"'handwritten-digits'.*val/nshards\.txt must hold the number of shards"):
        list(read_split(digits, "val"))


def test_a_label_beyond_the_classes_is_refused(digits):
    names = digits.path / "classnames.txt"
    names.write_text("\n".join(names.read_text().splitlines()[:2]))
    with pytest.raises(UserError, match=r"allowed are the integers 0 to 1"):
        list(read_split(open_task("handwritten-digits"), "train"))


def test_a_task_that_is_not_on_disk_is_named(digits):
    shutil.rmtree(digits.path)
    with pytest.raises(UserError, match="task 'handwritten-digits' is not on disk"):
        open_task("handwritten-digits")


def test_a_split_with_fewer_samples_than_listed_is_refused(digits):
    info = json.loads((digits.path / "info.json").read_text())
    info["splits"]["val"]["samples"] += 1
    (digits.path / "info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match=r"val holds \d+ samples, but info\.json lists"):
        list(read_split(digits, "val"))


def test_an_unknown_task_is_named():
    with pytest.raises(UserError, match="there is no task 'handwriting'"):
        open_task("handwriting")
