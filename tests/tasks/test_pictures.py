"""Contact sheets show every class, evenly; pictures are small, and equal when drawn again."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nml.tasks.pictures import COLUMNS, ROWS, draw_task, draw_tasks, sample_rows
from nml.tasks.task import open_task


@given(st.lists(st.integers(0, 60), min_size=1, max_size=200))
def test_every_class_is_shown_until_there_is_no_room(found: list[int]) -> None:
    labels = np.array(found)
    rows = sample_rows(labels, [f"k{number}" for number in range(len(found))])
    shown = rows[rows >= 0]
    assert rows.shape[0] == ROWS and rows.shape[1] <= COLUMNS
    assert len(set(shown.tolist())) == len(shown), "no sample twice"
    assert len(set(labels[shown].tolist())) == min(len(set(found)), ROWS * COLUMNS)
    assert {min(found), max(found)} <= set(labels[shown].tolist())


def test_few_classes_have_blocks_of_columns() -> None:
    labels = np.arange(200) % 3
    rows = sample_rows(labels, [f"k{number}" for number in range(200)])
    assert (labels[rows] == np.repeat([0, 1, 2], COLUMNS // 3)).all()


@pytest.mark.parametrize("name", ["icon-fill", "emoji-domains"])
def test_a_picture_is_small_and_the_same_when_drawn_again(name: str, tmp_path: Path) -> None:
    for file in ("first.png", "second.png"):
        draw_task(open_task(name), tmp_path / file)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert (tmp_path / "first.png").stat().st_size < 150_000
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.mode == "P" and picture.width > 1000
        assert len(picture.getcolors()) > 100


def test_a_damaged_task_says_so_in_its_place_and_holds_up_no_other(tiny, caplog: pytest.LogCaptureFixture) -> None:
    whole, damaged = tiny("cifar10"), tiny("eurosat")
    for image in Path(damaged.path).rglob("*.jpg"):
        image.write_bytes(image.read_bytes()[:200])
    files = {name: Path(f"{name}.png") for name in ("eurosat", "cifar10")}
    with caplog.at_level(logging.ERROR):
        draw_tasks(files.items())
    draw_task(whole, Path("alone.png"))
    assert files["cifar10"].read_bytes() == Path("alone.png").read_bytes()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the task 'eurosat' cannot be drawn: ")
    with Image.open(files["eurosat"]) as picture:
        reddest = max(picture.convert("RGB").getcolors(), key=lambda color: color[1][0] - color[1][1])[1]
    assert reddest == (0xB0, 0x00, 0x20)


def test_drawing_needs_no_pytorch() -> None:
    code = "import sys, nml.tasks.pictures; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
