"""Tasks with label noise, and parts of training splits: which samples they have, and with which labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nml import plugins
from nml.errors import UserError
from nml.grid import Noise
from nml.task_entries import TaskEntry
from nml.tasks.fractions import fraction_indices
from nml.tasks.noise import noisy_labels
from nml.tasks.task import facts, list_split, open_task, read_rows, read_split

DIGITS = "handwritten-digits"


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data set in folders with lists, of 40 training and 8 test images, in grey levels of their own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/tasks/shapes"
    for split, count in (("train", 40), ("test", 8)):
        names = [f"{'ab'[number % 2]}/{split}{number:02d}.png" for number in range(count)]
        for number, name in enumerate(names):
            (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (9, 7), 5 * number).save(folder / "images" / name)
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (tmp_path / "names.txt").write_text("a\nb\n")
    layout = {"reader": "listed", "variant": "papers", "needs": ["images"]}
    layout |= {"options": {"image": "images/{}", "label": "folder"}}
    layout |= {"train": {"samples": 40, "options": {"listing": "train.txt"}}}
    layout |= {"tests": {"test": {"samples": 8, "options": {"listing": "test.txt"}}}}
    values = {"title": "Shapes", "place": "shapes", "classes": 2, "class_names": str(tmp_path / "names.txt")}
    values |= {"metric": "accuracy", "licence": "CC0", "size": "9 kB", "tests": {"test": "id"}, "access": "draw them"}
    entry = TaskEntry.model_validate(values | {"layouts": {"lists": layout}})
    monkeypatch.setattr(plugins, "tasks", lambda: {"shapes": entry})
    return "shapes"


def labels_of(name: str, split: str = "train") -> list[int]:
    return list_split(open_task(name), split)[1].tolist()


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("variation", ["", "+symmetric-20", "@25", "+symmetric-20@25"])
def test_the_list_is_what_is_read(variation: str, split: str) -> None:
    task = open_task(DIGITS + variation)
    read = [(key, label) for key, _, label in read_split(task, split)]
    keys, labels = list_split(task, split)
    assert read == list(zip(keys, labels.tolist(), strict=True))


def test_noise_changes_training_and_validation_labels_alone() -> None:
    for split in ("train", "val"):
        keys, clean = list_split(open_task(DIGITS), split)
        expected = noisy_labels(clean, keys, 10, Noise("symmetric", 20), DIGITS, split)
        assert labels_of(f"{DIGITS}+symmetric-20", split) == expected.tolist()
        assert (expected != clean).mean() == pytest.approx(0.2, abs=0.01)
    assert labels_of(f"{DIGITS}+symmetric-20", "test") == labels_of(DIGITS, "test")


def test_noise_leaves_the_images_alone() -> None:
    clean, noisy = (read_split(open_task(name), "val") for name in (DIGITS, f"{DIGITS}+symmetric-20"))
    for (key, image, _), (noisy_key, noisy_image, _) in zip(clean, noisy, strict=True):
        assert key == noisy_key and np.array_equal(image, noisy_image)


def test_another_seed_is_another_noise() -> None:
    name = f"{DIGITS}+symmetric-20"
    tasks = [open_task(name, noise_seed=seed) for seed in (0, 1)]
    assert not np.array_equal(*(list_split(task, "train")[1] for task in tasks))
    assert facts(tasks[0]) != facts(tasks[1])


def test_a_part_is_a_share_of_the_training_split_alone() -> None:
    whole, part = open_task(DIGITS), open_task(f"{DIGITS}@25")
    keys, labels = list_split(whole, "train")
    assert list_split(part, "train")[0] == [keys[row] for row in fraction_indices(labels, keys, 25)]
    for split in ("val", "test"):
        assert list_split(part, split)[0] == list_split(whole, split)[0]


def test_noise_comes_first_and_then_the_part() -> None:
    keys, noisy = list_split(open_task(f"{DIGITS}+symmetric-40"), "train")
    rows = fraction_indices(noisy, keys, 10)
    assert labels_of(f"{DIGITS}+symmetric-40@10") == noisy[rows].tolist()


def test_results_with_noise_have_groups_of_their_own() -> None:
    groups = open_task("emoji-domains+symmetric-20").test_groups
    assert groups["test"] == "source+symmetric-20" and groups["test-3d"] == "ood+symmetric-20"


def test_a_data_set_on_disk_varies_in_the_same_way(shapes: str) -> None:
    clean, varied = open_task(shapes), open_task("shapes+symmetric-50@50")
    keys, labels = list_split(clean, "train")
    assert len(keys) == 36, "a tenth is for validation, whatever the address adds"
    noisy = noisy_labels(labels, keys, 2, Noise("symmetric", 50), "shapes", "train")
    rows = fraction_indices(noisy, keys, 50)
    found = list(read_split(varied, "train"))
    assert [(key, label) for key, _, label in found] == [(keys[row], noisy[row]) for row in rows]
    images = {key: image for key, image, _ in read_split(clean, "train")}
    assert all(np.array_equal(image, images[key]) for key, image, _ in found)
    assert list_split(varied, "val")[0] == list_split(clean, "val")[0]


@pytest.mark.parametrize("rows", [[], [0], [3, 4, 11]])
def test_some_rows_can_be_read_alone(rows: list[int], shapes: str) -> None:
    task = open_task(shapes)
    everything = list(read_split(task, "train"))
    found = list(read_rows(task, "train", np.array(rows, dtype=np.int64)))
    assert [key for key, _, _ in found] == [everything[row][0] for row in rows]


def test_some_rows_of_an_embedded_task_can_be_read_alone() -> None:
    keys, labels = list_split(open_task(DIGITS), "val")
    found = [(key, label) for key, _, label in read_rows(open_task(DIGITS), "val", np.array([5, 7]))]
    assert found == [(keys[row], labels[row]) for row in (5, 7)]


def test_a_wrong_name_is_named() -> None:
    with pytest.raises(UserError, match="there is no task 'digits'"):
        open_task("digits+symmetric-20")
    with pytest.raises(UserError, match="is no noise of a task's labels"):
        list(read_split(open_task(f"{DIGITS}+swap-20"), "train"))
