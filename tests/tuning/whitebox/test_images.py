"""The images of a task are decoded once, and held as the encoder's views need them."""

import numpy as np
import pytest
import torch

from nml.tasks.task import open_task
from nml.tuning.whitebox import images
from nml.tuning.whitebox.images import read_images
from nml.tuning.whitebox.views import views_for
from tests.tuning.whitebox.examples import CROP, SQUASH


def views(preprocessing: dict):
    return views_for(preprocessing, 0.8, True, torch.device("cpu"))


@pytest.mark.parametrize("preprocessing", [SQUASH, CROP])
def test_a_task_is_read_split_by_split(tiny_task, tmp_path, preprocessing):
    made = views(preprocessing)
    found = read_images(open_task("tiny-domains"), made, tmp_path / "held")
    assert (found.task, found.num_classes, found.groups) == ("tiny-domains", 3, {"test": "id", "test-far": "ood"})
    assert [len(split.pixels) for split in (found.train, found.validation, *found.tests.values())] == [12, 6, 6, 6]
    assert found.train.labels.tolist() == [0, 1, 2] * 4
    assert found.tests["test-far"].keys[0] == "test-far00"
    whole, cropped = (
        torch.cat([*split.batches(made, are_whole)])
        for split, are_whole in ((found.train, True), (found.validation, False))
    )
    assert whole.shape[1:] == cropped.shape[1:] == (3, preprocessing["size"], preprocessing["size"])
    rows = np.array([3, 1])
    drawn = found.train.drawn(rows, made, seed=5)
    assert made.training_input(drawn, 5).shape == (2, 3, preprocessing["size"], preprocessing["size"])


@pytest.mark.parametrize("name", ["train.pixels", "train.parquet", "train.json"])
@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "gone"])
def test_held_images_that_are_not_whole_are_decoded_again(tiny_task, tmp_path, name, is_cut):
    made, task, file = views(CROP), open_task("tiny-domains"), tmp_path / "held" / name
    first = read_images(task, made, tmp_path / "held").train
    content = file.read_bytes()
    file.unlink()
    if is_cut:
        file.write_bytes(content[:-1] if len(content) > 4 else b"")
    again = read_images(task, made, tmp_path / "held").train
    assert file.read_bytes() == content
    assert again.keys == first.keys
    np.testing.assert_array_equal(again.pixels[11], first.pixels[11])


def test_a_task_is_decoded_once_for_the_same_data_code_and_views(tiny_task, tmp_path, monkeypatch):
    made, task = views(CROP), open_task("tiny-domains")
    first = read_images(task, made, tmp_path / "held", "these data")
    with monkeypatch.context() as patch:
        patch.setattr(images, "read_split", None)
        again = read_images(task, made, tmp_path / "held", "these data")
        with pytest.raises(TypeError, match="NoneType"):
            read_images(task, made, tmp_path / "held", "other data")
    pairs = zip([first.train, *first.tests.values()], [again.train, *again.tests.values()], strict=True)
    for one, other in pairs:
        assert (one.keys, one.labels.tolist()) == (other.keys, other.labels.tolist())
        for place in range(len(one.pixels)):
            np.testing.assert_array_equal(one.pixels[place], other.pixels[place])
    # The split that was begun anew is read anew.
    assert len(read_images(task, made, tmp_path / "held", "these data").train.pixels) == 12
